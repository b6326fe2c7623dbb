//! Compiles the `.proto` files without a `protoc`.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["failsafe/v1/event.proto", "failsafe/v1/service.proto"];
    println!("cargo:rerun-if-changed=failsafe");
    println!("cargo:rerun-if-changed=google");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Encoded by the compiler itself: prost's own messages would lose the options that say how a method is called over HTTP.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_well_known_types(false).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
