//! The Voice as a process of its own.

fn main() -> std::process::ExitCode {
    chassis::main(llm_explainer::SERVICE, llm_explainer::run)
}
