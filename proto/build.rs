//! Compiles the `.proto` files without a `protoc`.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["failsafe/v1/event.proto", "failsafe/v1/service.proto"];
    println!("cargo:rerun-if-changed=failsafe");
    let descriptors = protox::compile(files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_well_known_types(false).compile_fds(descriptors)?;
    Ok(())
}
