//! Generates xsk.h from src/capi. The committed copy is include/xsk.h; `make`
//! renews it and `make check-header` compares.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    for path in ["src", "cbindgen.toml", "build.rs", "Cargo.toml"] {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=XSK_HEADER");
    // A Rust program that uses the crate needs no header.
    let Some(header) = env::var_os("XSK_HEADER") else { return };

    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut config =
        cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let part = |name: &str| env::var(format!("CARGO_PKG_VERSION_{name}")).expect("cargo sets it");
    let (major, minor, patch) = (part("MAJOR"), part("MINOR"), part("PATCH"));
    let versions = format!(
        "/** The version of this header; xsk_version() tells the library's. */\n\
         #define XSK_VERSION \"{major}.{minor}.{patch}\"\n\
         #define XSK_VERSION_MAJOR {major}\n\
         #define XSK_VERSION_MINOR {minor}\n\
         #define XSK_VERSION_PATCH {patch}\n"
    );
    config.after_includes = config.after_includes.map(|text| text.replace("@VERSIONS@", &versions));
    // The native C interface and no more, in the order in which the header tells of it.
    let told = [
        "errmsg", "umem", "bind", "socket", "program", "attach", "stats", "packet", "metadata",
        "rx", "tx", "run", "ring", "kick", "port", "grant", "k8s", "log", "probe",
    ];
    let builder =
        cbindgen::Builder::new().with_config(config).with_src(root.join("src/xsk/packet.rs"));
    let builder = told
        .iter()
        .fold(builder, |builder, name| builder.with_src(root.join(format!("src/capi/{name}.rs"))));
    match builder.generate() {
        Ok(bindings) => {
            let mut text = Vec::new();
            bindings.write(&mut text);
            let text = String::from_utf8(text).expect("the sources are UTF-8");
            fs::write(header, polish(&text)).expect("XSK_HEADER can be written");
        }
        // Let the compiler report what is wrong with the source.
        Err(cbindgen::Error::ParseSyntaxError { .. }) => {}
        Err(error) => panic!("cbindgen: {error}"),
    }
}

/// Lays text out as C programmers do: tabs, comments of one line where that is
/// enough, and no two blank lines in a row.
fn polish(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let body = line.trim_start_matches(' ');
        let spaces = line.len() - body.len();
        let (indent, rest) = (spaces / 8, " ".repeat(spaces % 8));
        let mut line = format!("{}{rest}{body}", "\t".repeat(indent)).trim_end().to_string();
        if line.trim_start() == "*/" && lines.len() >= 2 {
            let (open, only) = (&lines[lines.len() - 2], &lines[lines.len() - 1]);
            let said = only.trim_start().strip_prefix("* ");
            if let (Some(said), "/**") = (said, open.trim_start()) {
                let short = format!("{}/** {said} */", "\t".repeat(indent));
                if short.len() + 7 * indent <= 80 {
                    lines.truncate(lines.len() - 2);
                    line = short;
                }
            }
        }
        if !(line.is_empty() && lines.last().is_none_or(String::is_empty)) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}
