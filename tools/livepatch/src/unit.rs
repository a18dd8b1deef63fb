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
    /// The machine or the container of which the unit's tasks are a part, or `None` if the unit is
    /// none of those that their managers make.
    pub guest: Option<Guest>,
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
const HARMS: [(&[&str], &str); 7] = [
    (
        &[
            "NetworkManager",
            "connman",
            "dhcpcd*",
            "ifup@*",
            "iwd",
            "network",
            "networking",
            "openvswitch*",
            "ovs-vswitchd",
            "ovsdb-server",
            "systemd-networkd",
            "wicked*",
            "wpa_supplicant*",
        ],
        "this host may lose its network",
    ),
    (
        &[
            "containerd",
            "crio",
            "docker",
            "incus*",
            "k3s*",
            "lxc*",
            "lxd*",
            "podman",
            "pve-container@*",
            "rke2-*",
            "snap.docker.dockerd",
            "snap.lxd.daemon",
            "snap.microk8s.*",
            "systemd-nspawn@*",
        ],
        "its containers may end",
    ),
    (
        &["corosync", "pacemaker", "pve-ha-*", "sbd"],
        "its cluster may fence this host",
    ),
    (
        &["sanlock", "watchdog*", "wdmd"],
        "a watchdog may reset this host",
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Guest {
    /// A virtual machine of libvirt, by the name that systemd-machined has, or of Proxmox.
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
        let name = Name::from(parts[last]);
        let group = parts[..last].last().copied();
        Some(Self {
            guest: guest(group, &name),
            name,
            manager: Manager::of(&parts[..last]),
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
}

impl Manager {
    /// Returns the manager of a unit, by the control groups that the unit is in.
    ///
    /// Systemd puts its units into slices alone, and the units of users into those of their
    /// managers. So any other group is a container's. A container may have several, as
    /// `lxc/101/ns` has.
    fn of(groups: &[&[u8]]) -> Self {
        let mut manager = Self::System;
        let mut container: Vec<&[u8]> = Vec::new();

        for &group in groups {
            let is_inside = matches!(manager, Self::Machine(_)) && group == b"payload";
            let user = between(group, b"user@", b".service");
            let machine = between(group, b"machine-", b".scope")
                .or_else(|| between(group, b"systemd-nspawn@", b".service"));
            if let (Self::System, Some(id)) = (&manager, &user) {
                manager = Self::User(id.clone());
            }
            if let Some(name) = machine {
                container.clear();
                manager = Self::Machine(name);
            } else if group.ends_with(b".slice") || user.is_some() || is_inside {
                container.clear();
            } else {
                container.push(group);
                manager = Self::Container(container.join(&b'/').as_slice().into());
            }
        }
        manager
    }
}

/// Returns the guest that a unit is, by the name of the unit and the control group that it is in.
fn guest(group: Option<&[u8]>, unit: &Name) -> Option<Guest> {
    const CONTAINERS: [&[u8]; 4] = [b"docker-", b"libpod-", b"cri-containerd-", b"crio-"];

    let name = unit.as_bytes();
    if let Some(machine) = between(name, b"machine-", b".scope") {
        return Some(match machine.as_bytes().starts_with(b"qemu-") {
            true => Guest::Virtual(machine),
            false => Guest::Machine(machine),
        });
    }
    let scope = name.strip_suffix(b".scope")?;
    if group == Some(b"qemu.slice") {
        return Some(Guest::Virtual(scope.into()));
    }
    let starts = |start: &&[u8]| name.starts_with(start);
    let container = CONTAINERS.iter().any(starts);
    container.then(|| Guest::Container(unit.clone()))
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
        expect(
            "0::/machine.slice/machine-m.scope/payload/system.slice/docker-1.scope/init.scope\n",
            "init.scope",
            Manager::Container("docker-1.scope".into()),
        );
    }

    #[test]
    fn of_containers_without_a_unit() {
        for (group, unit) in [
            ("lxc/101/ns", "system.slice/ssh.service"),
            ("docker/01ab", "system.slice/kubelet.service"),
            ("kubepods/burstable/pod1/01ab", "system.slice/a.service"),
            (
                "lxc/101/ns",
                "user.slice/user@7.service/app.slice/a.service",
            ),
            ("../../docker/01ab", "init.scope"),
        ] {
            let name = unit.rsplit('/').next().unwrap();
            let path = format!("0::/{group}/{unit}\n");
            expect(&path, name, Manager::Container(group.into()));
        }
        // One in another.
        expect(
            "0::/lxc/101/ns/system.slice/docker/01ab/system.slice/a.service\n",
            "a.service",
            Manager::Container("docker/01ab".into()),
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
            let path = format!("0::/system.slice/{name}\n");
            let unit = Unit::parse(path.as_bytes()).unwrap();
            assert_eq!(unit.harm().is_some(), harms, "{name}");
            assert_eq!(unit.guest, None, "{name}");
        }
    }
}
