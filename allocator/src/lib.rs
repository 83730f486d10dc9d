//! Settings of the C library's memory allocator: how it returns freed memory to the operating system. They have an
//! effect with glibc on Linux only. This package has the only unsafe code of the workspace.
//!
//! By default, glibc returns only the end of a heap. A burst of connections or of long answers leaves gaps, so the
//! process stays as large as it once was.

/// Memory of at least this many bytes is a mapping of its own, which is returned when it is freed. By default, glibc
/// raises this limit to the size of the largest mapping that was freed: after the first long answer, all others come
/// from the heap.
pub const MAPPED_FROM: i32 = 128 * 1024;

/// Freed memory that is kept in any case, in bytes. The next requests need some of it.
pub const KEPT: usize = 16 * 1024 * 1024;

/// Call it once, at the start of the program.
pub fn configure() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::set_mapped_from(MAPPED_FROM);
}

/// Returns freed memory to the operating system, if it is more than [`KEPT`] and more than a quarter of the memory in
/// use. Returns whether it was. This takes milliseconds, so call it from a thread that may block.
pub fn return_unused() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let (in_use, free) = glibc::in_use_and_free();
        let is_much = free > KEPT.max(in_use / 4);
        if is_much {
            glibc::trim();
        }
        is_much
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    pub fn set_mapped_from(bytes: i32) {
        // SAFETY: mallopt takes two integers and synchronises by itself.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) };
    }

    /// Bytes of all heaps: those in use, and those that were freed.
    pub fn in_use_and_free() -> (usize, usize) {
        // SAFETY: mallinfo2 takes nothing, returns numbers, and synchronises by itself.
        let info = unsafe { libc::mallinfo2() };
        (info.uordblks, info.fordblks)
    }

    pub fn trim() {
        // SAFETY: malloc_trim returns only memory that is free, and synchronises by itself.
        unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    #[test]
    fn much_that_was_freed_is_returned_and_little_is_kept() {
        super::configure();
        // Below the size of a mapping, with gaps, so that the allocator keeps what is freed.
        let mut blocks: Vec<Option<Vec<u8>>> = (0..2_000).map(|_| Some(vec![1; 40_000])).collect();
        for block in blocks.iter_mut().step_by(2) {
            *block = None;
        }
        assert!(super::return_unused());
        drop(blocks);
    }
}
