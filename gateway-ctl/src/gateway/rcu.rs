//! Waits until packets that are in a program now have left it.

use std::time::Duration;

use nix::libc;

/// `MEMBARRIER_CMD_GLOBAL` of linux/membarrier.h: waits for an RCU grace period.
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;

/// Returns when every XDP program that runs now has finished.
///
/// XDP programs run as RCU readers; `membarrier(2)` waits for all of them. Where the kernel lacks it,
/// a pause much longer than any program's run does.
pub fn wait() {
    // SAFETY: this command takes no pointers and changes nothing.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
}
