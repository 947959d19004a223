//! What goes to which stream, and what happens where a stream is closed.

use std::process::Stdio;

use crate::command::{MIXED, answer, command, finish, folder_with, motley};

/// Data goes to standard output; how long it took is for people and goes to standard error.
#[test]
fn wall_clock_stays_off_standard_output() {
    let folder = folder_with("it.ron", MIXED);
    let text = motley(folder.path(), &["run", "it.ron"]);
    assert!(text.stderr.contains("simulated in"), "{}", text.stderr);
    assert!(!text.stdout.contains("simulated in"), "{}", text.stdout);
    let json = motley(folder.path(), &["run", "it.ron", "--format", "json"]);
    assert_eq!(json.stderr, "");
    assert!(!json.stdout.contains("wall"));
}

/// A reader that closes the pipe early, as `head` does, is no failure.
#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = folder_with("it.ron", MIXED);
    for arguments in [
        &["run", "it.ron"][..],
        &["run", "it.ron", "--format", "json"],
        &["check", "it.ron"],
        &["export", "dot", "it.ron"],
        &["catalog"],
        &["catalog", "devices", "v100-sxm2-32"],
    ] {
        let mut child = command(folder.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked") && !stderr.contains("error"), "{stderr}");
    }
}

/// Nor is one that does not want the remarks.
#[test]
fn a_closed_standard_error_is_no_failure() {
    let folder = folder_with("it.ron", MIXED);
    let mut child = command(folder.path(), ["run", "it.ron"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("Iteration"));
}

/// A full disk is one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let folder = folder_with("it.ron", MIXED);
    for arguments in [&["run", "it.ron"][..], &["check", "it.ron"], &["catalog"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = command(folder.path(), arguments)
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(74), "{arguments:?}");
        assert!(String::from_utf8(ran.stderr).unwrap().starts_with("error: "));
    }
}

/// Colours are for terminals.
#[test]
fn there_are_no_colours_in_pipes() {
    let folder = folder_with("it.ron", MIXED.replace("count: 1", "count: 0"));
    for colour in [None, Some("1"), Some("")] {
        for arguments in [&["run", "it.ron"][..], &["check", "it.ron"], &["--help"], &["nonsense"]]
        {
            let mut command = command(folder.path(), arguments);
            command.envs(colour.map(|value| ("NO_COLOR", value)));
            let ran = finish(command);
            assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'));
        }
    }
}

/// Unless they are asked for; answers have none even then.
#[test]
fn colours_can_be_asked_for() {
    let folder = folder_with("it.ron", MIXED.replace("count: 1", "count: 0"));
    std::fs::write(folder.path().join("right.ron"), MIXED).unwrap();
    for arguments in [&["run", "it.ron"][..], &["nonsense"]] {
        for (when, colours) in [("always", true), ("never", false), ("auto", false)] {
            for no_color in [false, true] {
                let asked = [&["--color", when], arguments].concat();
                let one = format!("--color={when}");
                let joined = [&[one.as_str()], arguments].concat();
                for asked in [asked, joined] {
                    let mut command = command(folder.path(), &asked);
                    command.envs(no_color.then_some(("NO_COLOR", "1")));
                    let ran = finish(command);
                    assert_eq!(ran.code, Some(2));
                    assert_eq!(ran.stderr.contains('\u{1b}'), colours, "{asked:?} {}", ran.stderr);
                }
            }
        }
    }
    // Behind the command, too.
    assert!(motley(folder.path(), &["run", "it.ron", "--color=always"]).stderr.contains('\u{1b}'));
    assert!(!answer(folder.path(), &["run", "right.ron", "--color", "always"]).contains('\u{1b}'));
    assert_eq!(motley(folder.path(), &["run", "it.ron", "--color", "sometimes"]).code, Some(2));
}

#[test]
fn help_and_version() {
    let folder = folder_with("it.ron", MIXED);
    let version = answer(folder.path(), &["--version"]);
    assert_eq!(version, format!("motley {}\n", env!("CARGO_PKG_VERSION")));
    let help = answer(folder.path(), &["--help"]);
    for command in ["run", "check", "catalog", "export"] {
        assert!(help.contains(command), "{help}");
        let own = answer(folder.path(), &[command, "--help"]);
        assert!(own.lines().all(|line| line.chars().count() <= 80), "{own}");
    }
}
