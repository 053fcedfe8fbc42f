//! The hookwheel binary; everything is in the library's `cli`.

fn main() -> std::process::ExitCode {
    hookwheel::cli::main()
}
