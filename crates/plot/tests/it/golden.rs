//! Pictures as they are kept in `tests/golden`. `UPDATE_GOLDEN=1` rewrites them: look at each before it is
//! committed.

use std::path::Path;

use crate::figures;

#[test]
fn pictures_are_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (name, figure) in figures::all() {
        let drawn = figure.svg().unwrap();
        let file = folder.join(format!("{name}.svg"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &drawn).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(drawn == kept, "{name}.svg differs; UPDATE_GOLDEN=1 rewrites it");
    }
}
