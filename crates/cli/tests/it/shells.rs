//! Completions and manual pages know every command.

use crate::command::{answer, motley};

/// The commands that a help text lists.
fn listed(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// All commands, as words.
fn commands() -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut found: Vec<Vec<String>> = vec![Vec::new()];
    let mut at = 0;
    while at < found.len() {
        let words = found[at].clone();
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = answer(folder.path(), &arguments);
        found.extend(listed(&help).into_iter().map(|sub| [words.clone(), vec![sub]].concat()));
        at += 1;
    }
    found
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let ran = motley(folder.path(), &["man", "-o", "share/man1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let commands = commands();
    assert!(commands.len() > 20);
    let pages = folder.path().join("share/man1");
    for words in &commands {
        let name = [vec!["motley".to_owned()], words.clone()].concat().join("-");
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("-help"), "{page}");
        let title = format!(".TH {name} 1  \"motley {}\"", env!("CARGO_PKG_VERSION"));
        assert!(page.contains(&title), "{page}");
    }
    assert_eq!(std::fs::read_dir(&pages).unwrap().count(), commands.len());
    let printed = answer(folder.path(), &["man"]);
    assert_eq!(printed, std::fs::read_to_string(pages.join("motley.1")).unwrap());
}

#[test]
fn every_command_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let commands = commands();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = answer(folder.path(), &["completions", shell]);
        for word in commands.iter().flatten() {
            assert!(script.contains(word.as_str()), "{shell}: {word}");
        }
        for option in ["--shapley", "--memory-timeline", "--nodes-per-group"] {
            let bare = option.trim_start_matches('-');
            assert!(script.contains(bare), "{shell}: {option}");
        }
    }
    let ran = motley(folder.path(), &["completions", "tcsh"]);
    assert_eq!(ran.code, Some(2));
}
