// SPDX-License-Identifier: GPL-2.0

//! The systemd unit that a task belongs to, and the service manager that has the unit.
//!
//! The name of a unit alone is not enough for advice. The manager of a user, or that of a
//! container, may have a service of the same name as the system's, and `systemctl restart` would
//! restart the wrong one.

use std::os::unix::ffi::OsStrExt;

use crate::name::Name;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    pub name: Name,
    pub manager: Manager,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Manager {
    System,
    /// The manager of the user with this ID.
    User(Name),
    /// That of a machine that systemd-machined knows by this name.
    Machine(Name),
    /// That of another container, by the control group that the container is in.
    Container(Name),
}

/// The services that need a reason to be restarted, with the harm that a restart may do.
const HARMS: [(&[&str], &str); 6] = [
    (
        &[
            "NetworkManager",
            "connman",
            "dhcpcd*",
            "ifup@*",
            "iwd",
            "network",
            "networking",
            "ovs-vswitchd",
            "systemd-networkd",
            "wicked*",
            "wpa_supplicant*",
        ],
        "this host may lose its network",
    ),
    (
        &["containerd", "crio", "docker", "podman"],
        "its containers may end",
    ),
    (
        &["corosync", "pacemaker", "sbd"],
        "its cluster may fence this host",
    ),
    (
        &["auditd"],
        "systemd may refuse it, and the kernel's audit log needs it",
    ),
    (
        &["console-getty", "getty@*", "serial-getty@*"],
        "a session on that terminal may end",
    ),
    (
        &[
            "dbus",
            "dbus-broker",
            "display-manager",
            "gdm",
            "gdm3",
            "iscsid",
            "lightdm",
            "lvm2-monitor",
            "multipathd",
            "sddm",
            "systemd-*",
            "user@*",
        ],
        "others depend on it",
    ),
];

/// A system within the system. The services of this one do not include its processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guest {
    /// A virtual machine of libvirt, by the name that systemd-machined has.
    Virtual(Name),
    /// Another machine that systemd-machined knows. It may be a container.
    Machine(Name),
    /// A container, by its unit.
    Container(Name),
}

impl Unit {
    /// Returns the innermost unit in the content of `/proc/PID/cgroup`.
    pub fn parse(content: &[u8]) -> Option<Self> {
        // 0::/PATH is version 2. With version 1 alone, systemd has a hierarchy of its own.
        let path = |start: &dyn Fn(&[u8]) -> Option<usize>| {
            let mut lines = content.split(|&b| b == b'\n');
            lines.find_map(|line| Self::in_path(&line[start(line)?..]))
        };
        path(&|line| line.starts_with(b"0::").then_some(3)).or_else(|| {
            path(&|line| {
                const NAME: &[u8] = b":name=systemd:";
                let at = line.windows(NAME.len()).position(|w| w == NAME)?;
                Some(at + NAME.len())
            })
        })
    }

    fn in_path(path: &[u8]) -> Option<Self> {
        let parts: Vec<_> = path
            .split(|&b| b == b'/')
            .filter(|p| !p.is_empty())
            .collect();
        let is_unit = |part: &&[u8]| part.ends_with(b".service") || part.ends_with(b".scope");
        let last = parts.iter().rposition(is_unit)?;
        let manager = parts[..last].iter().fold(Manager::System, |manager, part| {
            if let Some(id) = between(part, b"user@", b".service") {
                match manager {
                    Manager::System => Manager::User(id),
                    inside => inside,
                }
            } else if let Some(name) = between(part, b"machine-", b".scope")
                .or_else(|| between(part, b"systemd-nspawn@", b".service"))
            {
                Manager::Machine(name)
            } else if is_unit(part) || part.starts_with(b"lxc.payload") || *part == b".." {
                Manager::Container((*part).into())
            } else {
                manager
            }
        });

        Some(Self {
            name: parts[last].into(),
            manager,
        })
    }

    pub fn is_service(&self) -> bool {
        self.name.as_bytes().ends_with(b".service")
    }

    /// Whether the tasks of the unit are a service manager, process 1 for its units.
    pub fn is_manager(&self) -> bool {
        self.name.as_bytes() == b"init.scope"
    }

    /// Returns the harm that a restart of the service may do, or `None` if no such harm is known.
    pub fn harm(&self) -> Option<&'static str> {
        let name = self.name.as_bytes();
        let is = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start.as_bytes()),
            None => name.strip_suffix(b".service") == Some(pattern.as_bytes()),
        };
        let known = HARMS.iter().find(|(names, _)| names.iter().any(is));
        known.map(|&(_, harm)| harm)
    }

    /// Returns the machine or the container of which the tasks of the unit are a part, or `None`
    /// if the unit is none of those that their managers make.
    pub fn guest(&self) -> Option<Guest> {
        const CONTAINERS: [&[u8]; 4] = [b"docker-", b"libpod-", b"cri-containerd-", b"crio-"];

        let name = self.name.as_bytes();
        if let Some(machine) = between(name, b"machine-", b".scope") {
            return Some(match machine.as_bytes().starts_with(b"qemu-") {
                true => Guest::Virtual(machine),
                false => Guest::Machine(machine),
            });
        }
        let starts = |start: &&[u8]| name.starts_with(start);
        (!self.is_service() && CONTAINERS.iter().any(starts))
            .then(|| Guest::Container(self.name.clone()))
    }
}

/// Returns the text between two words in the name of a unit, without systemd's escapes.
fn between(part: &[u8], start: &[u8], end: &[u8]) -> Option<Name> {
    let inner = part.strip_prefix(start)?.strip_suffix(end)?;
    let mut name = Vec::new();
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = (byte == b'\\' && after.first() == Some(&b'x'))
            .then(|| after.get(1..3))
            .flatten();
        let code = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        name.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    Some(std::ffi::OsStr::from_bytes(&name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Option<(String, Manager)> {
        let unit = Unit::parse(text.as_bytes())?;
        Some((unit.name.to_string(), unit.manager))
    }

    fn expect(text: &str, name: &str, manager: Manager) {
        assert_eq!(unit(text), Some((name.to_owned(), manager)), "{text}");
    }

    #[test]
    fn of_the_system() {
        expect(
            "0::/system.slice/cron.service\n",
            "cron.service",
            Manager::System,
        );
        expect("0::/init.scope\n", "init.scope", Manager::System);
        expect(
            "0::/user.slice/user-0.slice/session-1.scope\n",
            "session-1.scope",
            Manager::System,
        );
        assert_eq!(unit("0::/\n"), None);
        assert_eq!(unit(""), None);
    }

    #[test]
    fn of_version_1() {
        expect(
            "12:cpu:/x.service\n1:name=systemd:/system.slice/cron.service\n0::/\n",
            "cron.service",
            Manager::System,
        );
        assert_eq!(unit("12:cpu:/x.service\n"), None);
    }

    #[test]
    fn of_users_and_containers() {
        expect(
            "1:cpu:/x.service\n0::/user.slice/user@1000.service/app.slice/a.scope/x\n",
            "a.scope",
            Manager::User("1000".into()),
        );
        expect(
            "0::/machine.slice/machine-my\\x2dvm.scope/payload/system.slice/a.service\n",
            "a.service",
            Manager::Machine("my-vm".into()),
        );
        expect(
            "0::/machine.slice/systemd-nspawn@x.service/payload/init.scope\n",
            "init.scope",
            Manager::Machine("x".into()),
        );
        expect(
            "0::/system.slice/docker-01.scope/system.slice/ssh.service\n",
            "ssh.service",
            Manager::Container("docker-01.scope".into()),
        );
        expect(
            "0::/lxc.payload.web/system.slice/ssh.service\n",
            "ssh.service",
            Manager::Container("lxc.payload.web".into()),
        );
    }

    #[test]
    fn that_must_not_be_restarted() {
        for (name, harms) in [
            ("dbus.service", true),
            ("systemd-logind.service", true),
            ("user@1000.service", true),
            ("network.service", true),
            ("cron.service", false),
            ("network-exporter.service", false),
            ("docker-gc.service", false),
            ("session-1.scope", false),
        ] {
            let unit = Unit {
                name: name.into(),
                manager: Manager::System,
            };
            assert_eq!(unit.harm().is_some(), harms, "{name}");
            assert_eq!(unit.guest(), None, "{name}");
        }
    }
}
