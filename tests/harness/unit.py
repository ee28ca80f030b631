"""What a systemd unit forbids its service in system calls, in force for a child process: no machine of the tests has
to run systemd for that."""
import ctypes
import os
import pathlib
import re
import socket
import subprocess

OLDEST = pathlib.Path(__file__).with_name("systemd-252.txt")

# Allowed whatever the unit lists (systemd.exec, SystemCallFilter).
ALWAYS = {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn"}

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EQUAL, MASKED_EQUAL = 4, 7
EPERM, EAFNOSUPPORT = 1, 97
PROT_WRITE, PROT_EXEC = 2, 4


def settings(text):
    """The settings of a unit's text, each a list of its values in order."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.M):
        found.setdefault(name, []).append(value)
    return found


def groups(text):
    """Groups of system calls as `systemd-analyze syscall-filter` lists them: {"@group": names}."""
    found, names = {}, None
    for line in text.splitlines():
        if line.startswith("@"):
            names = found.setdefault(line.split()[0], [])
            names += line.split()[1:]
        elif line.startswith("#"):
            names = None
        elif names is not None and not line.strip().startswith("#"):
            names += line.split()
    return found


def groups_of_this_machine():
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True)
    return groups(done.stdout)


def allowed_calls(unit, known):
    """The names that the unit's SystemCallFilter leaves, its groups being those of `known`."""
    def expand(words):
        names = set()
        for word in words:
            names |= expand(known[word]) if word.startswith("@") else {word}
        return names

    allowed = set()
    for line in unit["SystemCallFilter"]:
        if line.startswith("~"):
            allowed -= expand(line[1:].split())
        else:
            allowed |= expand(line.split())
    return allowed | expand(["@default"]) | ALWAYS


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def load_filter(otherwise, rules):
    """rules: (action, call's name, comparison or None)."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(otherwise)))
    for action, name, comparison in rules:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not on this kind of machine, or newer than the library
            continue
        rc = seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, 1 if comparison else 0,
                                            ctypes.byref(comparison) if comparison else None)
        assert rc == 0, f"{name}: {os.strerror(-rc)}"
    assert seccomp.seccomp_load(context) == 0


def confine(unit, known):
    """For a child, before it becomes the service: SystemCallFilter (a call outside it kills, as with systemd),
    RestrictAddressFamilies and MemoryDenyWriteExecute of the unit, from now on and for good."""
    families = {getattr(socket, name) for name in unit["RestrictAddressFamilies"][0].split()}
    refused = [(ERRNO | EAFNOSUPPORT, "socket", Comparison(0, EQUAL, family, 0)) for family in range(64)
               if family not in families]
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        both = PROT_WRITE | PROT_EXEC
        refused += [(ERRNO | EPERM, "mmap", Comparison(2, MASKED_EQUAL, both, both)),
                    (ERRNO | EPERM, "mprotect", Comparison(2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))]
    load_filter(ALLOW, refused)
    load_filter(KILL_PROCESS, [(ALLOW, name, None) for name in sorted(allowed_calls(unit, known))])
