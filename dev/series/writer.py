# SPDX-License-Identifier: GPL-2.0
"""From the files of this repository to commits, mails, and the proof.

Everything is kept in the directory series/ of the work directory.  Checks of the
series find there git/, a repository with the branches base and applied, and places,
the paths that are new or change.  b4 finds there what it keeps of its own branches.
"""

import json
import os
import shutil
import subprocess
import time

from . import commits, cover, recipients
from .git import Git, decode, encode
from .messages import Problem


class Writer:
    """One run.  settings are the options of __main__.py."""

    def __init__(self, settings, clock):
        self.settings = settings
        self.say = clock.say
        self.repo, self.base, self.tree = settings.repo, settings.base, settings.tree
        self.directory = os.path.join(settings.work, "series")
        self.version = settings.version
        os.makedirs(self.directory, exist_ok=True)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def read(self, *names):
        with open(os.path.join(self.repo, *names), encoding="utf-8") as file:
            return file.read()

    def write(self, files):
        """Write the series of these files; returns the directory of the mails."""
        plan = commits.read(os.path.join(self.repo, self.settings.series, "commits"))
        owned = commits.distribute(plan, files)
        self.prepare_git()
        start = self.commit_base()
        self.commit_all(plan, owned, start)
        directory = self.path(f"v{self.settings.reroll}")
        shutil.rmtree(directory, ignore_errors=True)
        mails = self.write_mails()
        self.prove(mails)
        os.rename(mails, directory)
        count = len(mail_files(directory))
        self.say(f"{count} patches and a cover letter, for Linux {self.version}")
        return directory

    # ---- the base, as a commit

    def prepare_git(self):
        """Make the repository, and git without the user's configuration."""
        # An interrupted run leaves its locks; no other run is at work, dev/series.sh has waited for it.
        for index in "base.index", "index", "composed.index":
            if os.path.exists(self.path(index + ".lock")):
                os.remove(self.path(index + ".lock"))
        theirs = Git(self.repo)
        self.base_commit = None
        if self.settings.clone:
            there = theirs.at(self.base, GIT_OPTIONAL_LOCKS="0")
            self.base_commit = there("rev-parse", "HEAD")
            changed = there("diff", "--name-only", "HEAD")
            if changed:
                raise Problem(f"KDIR={self.base} has changes that are not committed, so no commit is the base of a series",
                              changed, "commit them, or leave them out: git stash, git worktree add")
            self.objects = os.path.join(self.base, there("rev-parse", "--git-common-dir"))
        # The dates of the commits depend on the repository alone, so that it always makes
        # the same series.
        status, date, _ = theirs.try_run("log", "-1", "--format=%ct")
        self.date = int(date) if status == 0 else int(time.time())

        # The author's configuration of diffs, mails and signatures must have no effect.
        plain = theirs.at(self.directory, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1",
                          **identity("AUTHOR", self.settings.author), **identity("COMMITTER", self.settings.committer))
        where = self.path("git")
        if not os.path.isdir(where):
            new = where + ".new"
            shutil.rmtree(new, ignore_errors=True)
            plain("init", "-q", "--bare", new)
            for name, value in ("core.fsync", "none"), ("core.looseCompression", "1"), ("gc.auto", "0"):
                plain("config", "-f", os.path.join(new, "config"), name, value)
            os.rename(new, where)
        self.plain = plain
        self.git = plain.at(GIT_DIR=where)

    def dated(self, git, date):
        return git.at(GIT_AUTHOR_DATE=f"@{date} +0000", GIT_COMMITTER_DATE=f"@{date} +0000")

    def commit_base(self):
        """The commit that the series starts from."""
        where = self.path("git")
        if self.base_commit:
            with open(os.path.join(where, "objects/info/alternates"), "w", encoding="utf-8") as file:
                file.write(os.path.join(self.objects, "objects") + "\n")
            shallow = os.path.join(self.objects, "shallow")
            if os.path.isfile(shallow):
                shutil.copy(shallow, os.path.join(where, "shallow"))
            elif os.path.isfile(os.path.join(where, "shallow")):
                os.remove(os.path.join(where, "shallow"))
            start = self.base_commit
        else:
            with open(self.path("leftovers"), "w", encoding="utf-8") as file:
                file.write("".join(pattern + "\n" for pattern in self.settings.leftover + [".git"]))
            # Later on, git reads only the files that have changed.
            if not os.path.isfile(self.path("base.index")):
                self.say("reading the base (a minute)")
            git = self.git.at(self.base, GIT_WORK_TREE=".", GIT_INDEX_FILE=self.path("base.index"))
            names = git("ls-files", "-z", "-o", "-m", "-d", "--exclude-from=" + self.path("leftovers"))
            git("update-index", "-z", "--add", "--remove", "--stdin", given=names)
            start = self.dated(git, 0)("commit-tree", "-m", f"Linux {self.version}, as unpacked", git("write-tree"))
        self.git("update-ref", "refs/heads/base", start)
        return start

    # ---- the commits

    def commit_all(self, plan, owned, start):
        """The branch series: a commit for each of the plan that has files."""
        git = self.git.at(GIT_INDEX_FILE=self.path("index"))
        git("read-tree", start)
        upstream = set(git.names("ls-tree", "-rz", "--name-only", "base"))
        trailers = [f"--trailer=Assisted-by: {self.settings.assisted_by}"] if self.settings.assisted_by else []
        tip = start
        for commit in plan:
            files = owned[commit.name]
            if not files:
                self.say(f"no file belongs to {self.settings.series}/commits/{commit.name} yet: left out")
                continue
            self.add_files(git, upstream, [file for file in files if not commits.is_diff(file)])
            for file in files:
                if commits.is_diff(file):
                    self.add_diff(git, commit.name, file)
            self.date += 1
            message = git.output("interpret-trailers", *trailers, given=commit.message)
            tip = self.dated(git, self.date)("commit-tree", "-p", tip, git("write-tree"), given=message)
        shutil.rmtree(self.path("scratch"), ignore_errors=True)
        self.git("update-ref", "refs/heads/series", tip)
        if self.git("rev-list", "--count", "base..series") == "0":
            raise Problem("there is nothing to send")

    def add_files(self, git, upstream, files):
        """Add files that are new, whole."""
        for file in files:
            if file in upstream:
                raise Problem(f"{file} is upstream's, and is here", f"make it a diff: series/diffs/{file}.diff")
        if not files:
            return
        hashes = git.at(self.repo)("hash-object", "-w", "--no-filters", "--stdin-paths",
                                   given="".join(file + "\n" for file in files)).split()
        modes = ["100755" if os.access(os.path.join(self.repo, file), os.X_OK) else "100644" for file in files]
        git("update-index", "-z", "--index-info",
            given="".join(f"{mode} {name}\t{file}\0" for mode, name, file in zip(modes, hashes, files)))

    def add_diff(self, git, commit, diff):
        """Add the file that a diff changes, as it is by now, changed further."""
        file = commits.diff_target(diff)
        entry = git("ls-files", "-s", "--", file)
        if not entry:
            raise Problem(f"{diff} is for a file that Linux {self.version} does not have: {file}")
        mode, name = entry.split()[:2]
        scratch = self.path("scratch")
        shutil.rmtree(scratch, ignore_errors=True)
        changed = os.path.join(scratch, file)
        os.makedirs(os.path.dirname(changed))
        with open(changed, "wb") as output:
            subprocess.run(["git", "cat-file", "blob", name], env=git.env, cwd=git.directory, stdout=output, check=True)
        # As dev/lib/lib.sh applies it.
        apply = git.at(scratch, GIT_INDEX_FILE=None, GIT_DIR="/nonexistent")
        status, error, _ = apply.try_run("apply", "-C1", "--whitespace=nowarn", os.path.join(self.repo, diff), together=True)
        if status:
            raise Problem(f"{diff} does not apply where series/commits/{commit} has it", error.strip(),
                          "of one file's diffs, those of earlier commits must come earlier by their names")
        name = git("hash-object", "-w", "--no-filters", changed)
        git("update-index", "--cacheinfo", f"{mode},{name},{file}")

    # ---- the cover letter

    def origin(self):
        """Lines about the base of the series."""
        if self.base_commit:
            return [f"It applies to commit {self.git('rev-parse', '--short=12', 'base')}, Linux {self.version}."]
        if self.settings.kdir:
            return [f"It was made from a source tree of Linux {self.version} without a git history: there",
                    "is no base commit."]
        # dev/lib/base.sh has noted the package.
        with open(os.path.join(self.base, ".complete"), encoding="utf-8") as file:
            package = file.read().strip()
        return [f"It was made from Linux {self.version} as Debian packages it, of which there is",
                f"no commit ({package})."]

    def since(self, text, what, command):
        """Returns a line about it if the sources have changed since these results."""
        commit = cover.commit_of(text)
        if commit:
            status, _, _ = self.plain.at(self.repo).try_run(
                "diff", "--quiet", commit, "--", *self.settings.in_tree, self.settings.series + "/diffs", ":!" + self.settings.figures)
            if status == 0:
                return []
        self.say(f"{what} are of another state than this series: {command}")
        return [f"({what[0].upper()}{what[1:]} are of an earlier state.)"]

    def tests(self):
        results = os.path.join(self.settings.work, "results")
        if not os.path.isfile(results):
            self.say("the cover letter has no test results: make test")
            return ["  (not run)"]
        with open(results, encoding="utf-8") as file:
            text = file.read()
        lines = ["  " + line if line else line for line in text.splitlines()]
        return lines + self.since(text, "the test results", "make test")

    def bench(self):
        figures = self.settings.figures
        if not os.path.isfile(os.path.join(self.repo, figures, "table.txt")):
            self.say("the cover letter has no figures of the benchmark: make bench")
            return ["  (not measured)"]
        table = self.read(figures, "table.txt")
        lines = cover.measured(self.read(figures, "summary.md"), table)
        return lines + self.since(table, "the benchmark's figures", "make bench")

    def cover_letter(self):
        tools = self.settings.assisted_by
        changes = []
        if self.settings.reroll > 1:
            changes = cover.changelog(self.read(self.settings.series, "changes"), self.settings.reroll)
        page = self.read("Documentation/livepatch/rust-core-differences.rst")
        # These functions run only if the letter has their line.
        return cover.fill(self.read(self.settings.series, "cover"), {
            "base": self.origin,
            "tests": self.tests,
            "bench": self.bench,
            "matrix": lambda: cover.results(self.read("README.md"), "make matrix writes"),
            "runs": lambda: cover.results(self.read("README.md"), "long runs write"),
            "differs": lambda: cover.plain(cover.section(page, cover.DIFFERENCES)),
            "tools": lambda: [f"Parts of this were made with tools: {tools}."] if tools else [],
            "changes": lambda: changes,
        })

    # ---- the mails

    def write_mails(self):
        """Write the mails to a directory, whose name is not yet the last."""
        letter = self.cover_letter()
        with open(self.path("cover"), "w", encoding="utf-8") as file:
            file.write(letter)
        change = self.read(self.settings.series, "change-id").strip()
        self.git("config", "branch.series.description", f"{letter}\nchange-id: {change}")
        status = self.git.names("diff", "--name-status", "--no-renames", "-z", "base", "series")
        changes = list(zip(status[::2], status[1::2]))
        self.places = recipients.places(changes, set(self.git.names("ls-tree", "-rdz", "--name-only", "base")))
        with open(self.path("places"), "w", encoding="utf-8") as file:
            file.write("".join(f"{kind} {place}\n" for kind, place in self.places))

        mails = self.path("unproven")
        shutil.rmtree(mails, ignore_errors=True)
        options = ["--quiet", "--cover-letter", "--cover-from-description=subject", "--output-directory", mails]
        if self.settings.reroll > 1:
            options.append(f"--reroll-count={self.settings.reroll}")
        if self.settings.signoff:
            options.append("--signoff")
        if self.base_commit:
            options.append("--base=" + self.base_commit)
        git = self.git.at(GIT_COMMITTER_DATE=f"@{self.date} +0000")
        git("format-patch", *options, *self.people(), "base..series")
        self.let_b4_take_over(letter, change)
        return mails

    def let_b4_take_over(self, letter, change):
        """Describe the branch series as b4 describes its own: the letter, version and name of the change.

        b4 adds the name to the letter, as write_mails() does.
        """
        series = {"revision": self.settings.reroll, "change-id": change, "prefixes": [], "presubject": "",
                  "base-branch": "base"}
        for name, value in (("description", letter.rstrip("\n")), ("b4-prep-cover-strategy", "branch-description"),
                            ("b4-tracking", json.dumps({"series": series}))):
            self.git("config", f"branch.series.{name}", value)

    def people(self):
        """The recipients.  All get all mails.  Words in the text (K: in MAINTAINERS) do not count."""
        command = ["scripts/get_maintainer.pl", "--nogit", "--nogit-fallback", "--nokeywords", "--roles",
                   "--norolestats", "-f", *(place for _, place in self.places)]
        # Without a seed, its Perl hash gives the recipients another order in each run.
        env = self.plain.at(PERL_HASH_SEED="0").env
        done = subprocess.run(command, cwd=self.tree, env=env, stdout=subprocess.PIPE, check=False)
        options = recipients.options(decode(done.stdout))
        if done.returncode or not any(option.startswith("--to=") for option in options):
            raise Problem("scripts/get_maintainer.pl names nobody to send this to")
        return options

    # ---- the proof

    def prove(self, mails):
        """Raise Problem unless git am makes the tree of make tree from the base and the mails."""
        am, log = self.path("am"), self.path("am.log")
        shutil.rmtree(am, ignore_errors=True)
        self.git("worktree", "prune")
        self.git("worktree", "add", "-q", "--no-checkout", "--detach", am, "base")
        there = self.plain.at(am)
        # The checkout needs only the files that the series changes.
        there("sparse-checkout", "set", "--no-cone", "--stdin", given="".join(f"/{place}\n" for _, place in self.places))
        there("checkout", "-q")
        status, output, _ = there.try_run("am", *mail_files(mails), together=True)
        with open(log, "wb") as file:
            file.write(encode(output))
        if status:
            raise Problem("the series does not apply", *output.splitlines()[-20:])
        there("update-ref", "refs/heads/applied", "HEAD")
        if self.git("log", "--format=%T", "base..applied") != self.git("log", "--format=%T", "base..series"):
            raise Problem("a mail makes something else than the commit that it was written from", f"log: {log}")
        composed = self.composed()
        if self.git("rev-parse", "applied^{tree}") != composed:
            raise Problem("the series makes something else of the base than make tree does",
                          *self.git("diff", "--stat", composed, "applied").splitlines()[-20:])

    def composed(self):
        """The tree that make tree has composed."""
        index = self.path("composed.index")
        git = self.git.at(self.tree, GIT_INDEX_FILE=index, GIT_WORK_TREE=self.tree)
        if not os.path.isfile(index):
            git("read-tree", "base")
        git("add", "-A")
        # Add files that .gitignore leaves out as well, because they are in the tree.
        with open(os.path.join(self.settings.work, "composed"), "rb") as file:
            git("add", "-f", "--pathspec-from-file=-", "--pathspec-file-nul", given=file.read().replace(b"\n", b"\0"))
        return git("write-tree")


def identity(kind, who):
    """The variables of git for "Name <address>"."""
    name, _, address = who.rpartition(" <")
    return {f"GIT_{kind}_NAME": name, f"GIT_{kind}_EMAIL": address.removesuffix(">")}


def mail_files(directory):
    """The mails but for the cover letter, in order."""
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory))
            if name.endswith(".patch") and not name.endswith("0000-cover-letter.patch")]
