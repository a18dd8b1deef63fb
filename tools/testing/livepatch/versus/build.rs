// SPDX-License-Identifier: GPL-2.0

//! Compiles the C core of live patching of a kernel tree, unchanged, against the headers in
//! `include/`.
//!
//! The tree is `KLP_TREE`, or the one that contains this file. If it has no C core, the crate
//! compiles two tests: one is ignored and gives the reason, and the other fails if `KLP_TREE` is
//! set.

use std::{
    env,
    error::Error,
    fs,
    path::{
        Path,
        PathBuf, //
    }, //
};

/// The enumeration and the functions of the rules' messages, in the kernel tree of this file.
const MESSAGES: &str = "../../../../kernel/livepatch";

const CORE: [&str; 5] = ["core", "patch", "transition", "shadow", "state"];

/// Headers of the kernel that are used unchanged: from `include/`, `tools/include/` and the C
/// library.
const KERNELS_OWN: [&str; 4] = [
    "linux/errno.h",
    "linux/kernel.h",
    "linux/list.h",
    "linux/types.h",
];

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let tree = env::var_os("KLP_TREE").map_or_else(|| here.join("../../../.."), PathBuf::from);
    println!("cargo:rerun-if-env-changed=KLP_TREE");
    let core = tree.join("kernel/livepatch");
    println!("cargo:rerun-if-changed={}", core.display());
    for own in ["include", "csrc"] {
        println!("cargo:rerun-if-changed={}", here.join(own).display());
    }
    if !core.join("core.c").is_file() {
        return Ok(());
    }

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let headers = out.join("include");
    let messages = here.join(MESSAGES);
    for name in ["messages.c", "rust.h"] {
        println!("cargo:rerun-if-changed={}", messages.join(name).display());
    }
    write_headers(&tree, &messages, &headers)?;
    let mut build = cc::Build::new();
    build
        .std("gnu11")
        .define("_GNU_SOURCE", None)
        .flag("-include")
        .flag("machine.h")
        .include(&headers)
        .include(here.join("include"))
        .include(here.join("csrc"))
        .include(tree.join("tools/include"))
        .include(&core)
        // The kernel's own build selects the warnings for this code.
        .warnings(false)
        .file(messages.join("messages.c"))
        .files(CORE.map(|name| core.join(name).with_extension("c")))
        .files(
            ["services", "driver", "data"]
                .map(|name| here.join("csrc").join(name).with_extension("c")),
        )
        .try_compile("core_in_c")?;

    bindgen::Builder::default()
        .header(here.join("include/driver.h").display().to_string())
        .header(messages.join("rust.h").display().to_string())
        .clang_args(["-std=gnu11", "-D_GNU_SOURCE", "-include", "machine.h"])
        .clang_args(
            [&headers, &here.join("include"), &tree.join("tools/include")]
                .map(|path| format!("-I{}", path.display())),
        )
        .allowlist_item("(driver|DRIVER)_.*")
        .allowlist_type("klp_event")
        .rustified_enum("klp_event")
        .generate()?
        .write_to_file(out.join("driver.rs"))?;
    println!("cargo:rustc-cfg=core_in_c");
    Ok(())
}

/// Copies the headers of live patching, and writes all others that its files include so that they
/// include `machine.h`.
fn write_headers(tree: &Path, messages: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    let linux = to.join("linux");
    fs::create_dir_all(&linux)?;
    fs::create_dir_all(to.join("asm"))?;
    let mut sources = ["messages.c", "rust.h"]
        .map(|name| messages.join(name))
        .to_vec();
    for entry in fs::read_dir(tree.join("kernel/livepatch"))? {
        sources.push(entry?.path());
    }
    for entry in fs::read_dir(tree.join("include/linux"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with("livepatch") {
            fs::copy(&path, linux.join(name))?;
            sources.push(path);
        }
    }
    for source in sources.iter().filter(|path| path.is_file()) {
        for line in fs::read_to_string(source)?.lines() {
            let Some(name) = line
                .strip_prefix("#include <")
                .and_then(|rest| rest.split('>').next())
            else {
                continue;
            };
            let file = to.join(name);
            let ours = !KERNELS_OWN.contains(&name) && !name.starts_with("linux/livepatch");
            if ours && file.parent().is_some_and(Path::is_dir) {
                fs::write(file, "#include \"machine.h\"\n")?;
            }
        }
    }
    Ok(())
}
