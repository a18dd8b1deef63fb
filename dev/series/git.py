# SPDX-License-Identifier: GPL-2.0
"""git, with an environment."""

import os
import subprocess

from .messages import Problem


def decode(data):
    return data.decode("utf-8", "surrogateescape")


def encode(text):
    return text.encode("utf-8", "surrogateescape")


class Git:
    """Runs git somewhere, with an environment of its own."""

    def __init__(self, directory, env=None):
        self.directory = directory
        self.env = dict(os.environ if env is None else env)

    def at(self, directory=None, **variables):
        """The same elsewhere, or with other variables; None removes one."""
        env = {name: value for name, value in {**self.env, **variables}.items() if value is not None}
        return Git(directory or self.directory, env)

    def try_run(self, *arguments, given="", together=False):
        """Run git: its exit status and its output, with the errors in it if together."""
        done = subprocess.run(["git", *arguments], cwd=self.directory, env=self.env,
                              input=given if isinstance(given, bytes) else encode(given),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT if together else subprocess.PIPE)
        return done.returncode, decode(done.stdout), "" if together else decode(done.stderr)

    def output(self, *arguments, given=""):
        """Run git: all of its output.  Raises Problem if git fails."""
        status, output, error = self.try_run(*arguments, given=given)
        if status:
            raise Problem(f"git {' '.join(arguments)[:200]} failed in {self.directory}", error.strip() or output.strip())
        return output

    def __call__(self, *arguments, given=""):
        """Run git: its output, without newlines at its end."""
        return self.output(*arguments, given=given).rstrip("\n")

    def names(self, *arguments):
        """Run git with -z: the names that it prints."""
        return [name for name in self(*arguments).split("\0") if name]
