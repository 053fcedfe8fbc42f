//! The hookwheel binary; everything is in the library's `cli`.

// Delivering an event is a few dozen small allocations, many of them freed by another thread than
// made them, which the system's allocator is slow at.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hookwheel::cli::main()
}
