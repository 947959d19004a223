//! Lists the catalogue's files, so that a new card is a new file under `data/` and nothing else.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name: &str| {
        env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo does not set {name}")))
    };
    let mut files = Vec::new();
    list(&Path::new(&variable("CARGO_MANIFEST_DIR")?).join("data"), "", &mut files)?;
    files.sort();

    let mut text = String::from("&[\n");
    for (path, file) in &files {
        writeln!(text, "    ({path:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    text.push(']');

    fs::write(Path::new(&variable("OUT_DIR")?).join("catalog_files.rs"), text)?;
    println!("cargo::rerun-if-changed=data");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// Adds every `.ron` file below `folder`: its path below `data`, with `/` on every platform, and
/// its absolute path.
fn list(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let not_text = || io::Error::other(format!("{}: not UTF-8", entry.path().display()));
        let name = entry.file_name().into_string().map_err(|_| not_text())?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "ron") {
            let file = entry.path().into_os_string().into_string().map_err(|_| not_text())?;
            files.push((format!("{prefix}{name}"), file));
        }
    }
    Ok(())
}
