// SPDX-License-Identifier: GPL-2.0

//! Compiles the C core of live patching of a kernel tree, unchanged, against the headers in
//! `include/`.
//!
//! The tree is `KLP_TREE`, or the one that contains this file. If it has no C core, the crate
//! compiles one test, which is ignored and gives the reason.

use std::{
    env,
    error::Error,
    fs,
    path::{
        Path,
        PathBuf, //
    }, //
};

const CORE: [&str; 5] = ["core", "patch", "transition", "shadow", "state"];

/// Headers of the kernel that are used unchanged: from `include/` and `tools/include/`.
const KERNELS_OWN: [&str; 3] = ["linux/kernel.h", "linux/list.h", "linux/types.h"];

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
    write_headers(&tree, &headers)?;
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
        .files(CORE.map(|name| core.join(name).with_extension("c")))
        .files(["services", "driver"].map(|name| here.join("csrc").join(name).with_extension("c")))
        .try_compile("core_in_c")?;

    bindgen::Builder::default()
        .header(here.join("include/driver.h").display().to_string())
        .allowlist_item("(driver|DRIVER)_.*")
        .generate()?
        .write_to_file(out.join("driver.rs"))?;
    println!("cargo:rustc-cfg=core_in_c");
    Ok(())
}

/// Copies the headers of live patching, and writes all others that its files include so that they
/// include `machine.h`.
fn write_headers(tree: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let linux = to.join("linux");
    fs::create_dir_all(&linux)?;
    fs::create_dir_all(to.join("asm"))?;
    let mut sources = Vec::new();
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
