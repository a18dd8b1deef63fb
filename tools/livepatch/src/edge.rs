// SPDX-License-Identifier: GPL-2.0

//! The system calls that the standard library has no function for. All unsafe code is here.
//!
//! The numbers are the same on every architecture with live patching, but for one.

use std::ffi::{c_int, c_short, c_uint, c_ulong};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const POLLIN: c_short = 0x1;
const POLLPRI: c_short = 0x2;

const CLOEXEC: c_int = 0o2_000_000;
const NONBLOCK: c_int = 0o4000;

const AF_NETLINK: c_int = 16;
const SOCK_DGRAM: c_int = 2;
const NETLINK_KOBJECT_UEVENT: c_int = 15;

const SIG_BLOCK: c_int = 0;
const SIG_SETMASK: c_int = 2;

const LOCK_EX: c_int = 2;

#[repr(C)]
struct PollFd {
    fd: RawFd,
    events: c_short,
    revents: c_short,
}

#[repr(C)]
struct SockaddrNl {
    family: u16,
    pad: u16,
    pid: u32,
    groups: u32,
}

#[cfg(not(target_arch = "powerpc64"))]
const TIOCGWINSZ: c_ulong = 0x5413;
#[cfg(target_arch = "powerpc64")]
const TIOCGWINSZ: c_ulong = 0x4008_7468;

#[repr(C)]
struct Winsize {
    rows: u16,
    columns: u16,
    pixels: [u16; 2],
}

/// `sigset_t`, which has room for 1024 signals in every C library.
#[repr(C)]
struct SigSet([c_ulong; 1024 / c_ulong::BITS as usize]);

/// The mask of signals that this process was started with, once [`signals`] has changed it.
static BEFORE: OnceLock<SigSet> = OnceLock::new();

extern "C" {
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn flock(fd: c_int, operation: c_int) -> c_int;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    fn bind(fd: c_int, address: *const SockaddrNl, length: c_uint) -> c_int;
    fn sigemptyset(set: *mut SigSet) -> c_int;
    fn sigaddset(set: *mut SigSet, signal: c_int) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const SigSet, old: *mut SigSet) -> c_int;
    fn signalfd(fd: c_int, set: *const SigSet, flags: c_int) -> c_int;
}

/// The event to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// There is something to read, or the other end is closed.
    Input,
    /// A file in sysfs has changed since it was read.
    Change,
}

/// Waits until one of the files has its event, or for `timeout`, rounded up to milliseconds.
/// Returns for each file whether it has its event or an error. A signal ends the wait early.
pub fn wait(
    files: &[(BorrowedFd<'_>, Wanted)],
    timeout: Option<Duration>,
) -> io::Result<Vec<bool>> {
    let mut fds: Vec<_> = files
        .iter()
        .map(|(fd, wanted)| PollFd {
            fd: fd.as_raw_fd(),
            events: match wanted {
                Wanted::Input => POLLIN,
                Wanted::Change => POLLPRI,
            },
            revents: 0,
        })
        .collect();
    let milliseconds = timeout.map_or(-1, |timeout| {
        let rounded_up = timeout.as_nanos().div_ceil(1_000_000);
        c_int::try_from(rounded_up).unwrap_or(c_int::MAX)
    });
    // SAFETY: `fds` has `fds.len()` structures, and is valid for reads and writes until the call
    // returns. The kernel writes to their `revents` alone, for which every value is valid.
    let result = unsafe { poll(fds.as_mut_ptr(), fds.len() as c_ulong, milliseconds) };
    if result < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            ErrorKind::Interrupted => Ok(vec![false; files.len()]),
            _ => Err(error),
        };
    }
    Ok(fds.iter().map(|fd| fd.revents != 0).collect())
}

/// Returns the columns and rows of a terminal, or `None` if the file is no terminal, or one of
/// unknown size.
pub fn terminal_size(file: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let mut size = Winsize {
        rows: 0,
        columns: 0,
        pixels: [0; 2],
    };
    // SAFETY: `TIOCGWINSZ` fills in a `struct winsize`, which `size` has the layout of. `size` is
    // valid for writes until the call returns.
    let result = unsafe { ioctl(file.as_raw_fd(), TIOCGWINSZ, &mut size) };
    (result == 0 && size.columns > 0 && size.rows > 0)
        .then(|| (size.columns.into(), size.rows.into()))
}

/// Waits until no other process has a lock on a file, and takes it. It lasts until the file is
/// closed. `File::lock()` does the same, and is newer than the least compiler.
pub fn lock(file: &File) -> io::Result<()> {
    // SAFETY: The function takes no pointers, and `file` is open.
    match unsafe { flock(file.as_raw_fd(), LOCK_EX) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes over a file descriptor that a system call has returned.
fn owned(fd: c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: The callers pass the result of a system call that opens a file. The descriptor has no
    // other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens a socket that receives the kernel's uevents. Reading from it does not wait.
pub fn uevents() -> io::Result<File> {
    let kind = SOCK_DGRAM | CLOEXEC | NONBLOCK;
    // SAFETY: The function takes no pointers, and a wrong argument makes it return an error.
    let socket = owned(unsafe { socket(AF_NETLINK, kind, NETLINK_KOBJECT_UEVENT) })?;
    let kernel = SockaddrNl {
        family: AF_NETLINK as u16,
        pad: 0,
        pid: 0,
        groups: 1,
    };
    let length = size_of::<SockaddrNl>() as c_uint;
    // SAFETY: `kernel` has the layout of `struct sockaddr_nl`, is `length` bytes long, and is valid
    // for reads until the call returns.
    if unsafe { bind(socket.as_raw_fd(), &kernel, length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket.into())
}

/// Blocks signals in this thread and in those that it starts from now on, and opens a file that has
/// them instead. Reading from it does not wait. Children inherit the mask: see [`with_signals`].
pub fn signals(wanted: &[c_int]) -> io::Result<File> {
    let mut set = SigSet([0; 1024 / c_ulong::BITS as usize]);
    let mut before = SigSet([0; 1024 / c_ulong::BITS as usize]);
    // SAFETY: `set` is as large as a `sigset_t`, and is valid for writes.
    unsafe { sigemptyset(&mut set) };
    for &signal in wanted {
        // SAFETY: `set` is valid for reads and writes, and `sigemptyset()` has initialized it.
        unsafe { sigaddset(&mut set, signal) };
    }
    // SAFETY: `set` is valid for reads, and initialized. The descriptor -1 asks for a new one.
    let file = owned(unsafe { signalfd(-1, &set, CLOEXEC | NONBLOCK) })?;
    // SAFETY: `set` is valid for reads, and initialized. `before` is as large as a `sigset_t`, and
    // is valid for writes.
    match unsafe { pthread_sigmask(SIG_BLOCK, &set, &mut before) } {
        0 => {
            // Later masks have the signals already, so the first one stays.
            let _ = BEFORE.set(before);
            Ok(file.into())
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Has a program start with the mask of signals of before [`signals`], so that it can be stopped.
pub fn with_signals(command: &mut Command) -> &mut Command {
    let restore = || {
        let Some(before) = BEFORE.get() else {
            return Ok(());
        };
        // SAFETY: `before` is valid for reads, and initialized. With a null pointer, the function
        // does not write the old mask.
        match unsafe { pthread_sigmask(SIG_SETMASK, before, std::ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    };
    // SAFETY: The closure runs in the child after fork(). It reads a value that does not change any
    // more, and calls pthread_sigmask() alone, which is async-signal-safe. It allocates nothing.
    unsafe { command.pre_exec(restore) }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::net::TcpStream;

    extern "C" {
        fn raise(signal: c_int) -> c_int;
        fn send(fd: c_int, data: *const u8, length: usize, flags: c_int) -> isize;
    }

    /// Sends a signal to this thread.
    pub fn send_signal(signal: c_int) {
        // SAFETY: The function takes no pointers.
        assert_eq!(unsafe { raise(signal) }, 0);
    }

    /// Makes the other end of a connection look changed, as a file in sysfs does.
    pub fn notify(stream: &TcpStream) {
        const MSG_OOB: c_int = 1;
        // SAFETY: The array has one byte, as the length says, and is valid for reads until the call
        // returns.
        let sent = unsafe { send(stream.as_raw_fd(), [0].as_ptr(), 1, MSG_OOB) };
        assert_eq!(sent, 1);
    }
}
