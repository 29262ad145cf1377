//! Release builds carry `design/` in themselves; debug builds read it where it lies, so that a changed colour rebuilds
//! nothing.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("design.rs");
    let mut table = String::from("static EMBEDDED: &[(&str, &[u8])] = &[\n");
    if env::var("PROFILE")? == "release" {
        let root = fs::canonicalize(Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../design"))?;
        // `dist` is made by npm and may be missing: pages then do with the fonts the reader has.
        println!("cargo:rerun-if-changed={}", root.display());
        for folder in ["", "components", "components/pages", "js", "js/pages", "icons", "dist", "dist/fonts"]
        {
            let Ok(entries) = fs::read_dir(root.join(folder)) else { continue };
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let wanted =
                    [".css", ".js", ".svg", ".png", ".ico", ".woff2"].iter().any(|end| name.ends_with(end));
                if path.is_file() && wanted {
                    let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    writeln!(table, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())?;
                }
            }
        }
    }
    table.push_str("];\n");
    fs::write(out, table)?;
    Ok(())
}
