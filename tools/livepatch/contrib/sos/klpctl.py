# SPDX-License-Identifier: GPL-2.0
"""A plugin for sos: copy it to sos/report/plugins/."""

from sos.report.plugins import (
    DebianPlugin, IndependentPlugin, Plugin, RedHatPlugin, SuSEPlugin, UbuntuPlugin)


# sos 4.0, which Debian 12 has, passes over a plugin that is independent alone.
class Klpctl(Plugin, IndependentPlugin, RedHatPlugin, DebianPlugin, UbuntuPlugin, SuSEPlugin):
    """Kernel live patching, as klpctl shows it"""

    short_desc = "Kernel live patching"
    plugin_name = "klpctl"
    profiles = ("system", "kernel")
    commands = ("klpctl",)

    def setup(self):
        self.add_copy_spec([
            "/var/lib/klpctl/*/order",
            "/var/lib/klpctl/running",
            "/var/lib/klpctl/crashed",
        ])
        # The report has the files behind the other answers: klpctl --root reads it.
        folder = self.get_cmd_output_path()
        self.add_cmd_output([
            "klpctl status",
            "klpctl list --verbose --all",
            "klpctl why",
            "klpctl installed",
            "klpctl --version",
            f"klpctl report --output {folder}/klpctl-report.tar.gz",
        ])
        self.add_journal(units="klpctl")
