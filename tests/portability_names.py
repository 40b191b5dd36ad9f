"""Names of Python's library that not every system has, or has alike."""

import re

OF_OS = frozenset(
    (
        *("O_CLOEXEC", "O_DIRECT", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"),
        *("WEXITSTATUS", "WIFEXITED", "copy_file_range", "ctermid", "environb", "eventfd"),
        *("fdatasync", "fwalk", "get_blocking", "memfd_create", "register_at_fork"),
        *("set_blocking", "splice"),
        *("chmod", "chown", "chroot", "confstr", "fchdir", "fchmod", "fchown", "fork", "forkpty"),
        *("fpathconf", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid"),
        *("getpgrp", "getpriority", "getsid", "getuid", "initgroups", "kill", "killpg", "lchown"),
        *("link", "lockf", "mkfifo", "mknod", "nice", "openpty", "pathconf", "pipe2"),
        *("posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "preadv", "pwrite"),
        *("pwritev", "readlink", "sched_getaffinity", "sched_setaffinity", "sched_yield"),
        *("sendfile", "setegid", "seteuid", "setgid", "setgroups", "setpgid", "setpriority"),
        *("setsid", "setuid", "statvfs", "symlink", "sync", "sysconf", "tcgetpgrp", "tcsetpgrp"),
        *("ttyname", "umask", "uname", "wait", "wait3", "wait4", "waitid", "waitpid"),
    )
)
"""Names of ``os`` that Windows lacks, or to which it gives another meaning."""
OF_SIGNAL = re.compile(
    r"SIG(?!INT\b|TERM\b|ABRT\b|BREAK\b|FPE\b|ILL\b|SEGV\b|_IGN\b|_DFL\b)\w+"
    r"|alarm|pause|pthread_kill|setitimer|sigwait|siginterrupt"
)
OF_SOCKET = frozenset(("AF_UNIX", "SO_PEERCRED", "SO_REUSEPORT", "socketpair", "send_fds"))
METHODS = frozenset(
    (
        *(
            "add_reader",
            "add_signal_handler",
            "add_writer",
            "chmod",
            "create_unix_connection",
            "create_unix_server",
        ),
        *("connect_read_pipe", "connect_write_pipe", "get_child_watcher"),
        *("hardlink_to", "lchmod", "link_to", "open_unix_connection", "readlink"),
        *("start_unix_server", "symlink_to"),
    )
)
"""Methods of paths and of event loops that Windows lacks, or to which it gives another meaning."""
MODULES = frozenset(
    (
        *("_winapi", "crypt", "curses", "fcntl", "grp", "msvcrt", "nis", "ossaudiodev", "posix"),
        *("pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty", "winreg"),
        "winsound",
    )
)
OF_SELECT = frozenset(("devpoll", "epoll", "kqueue", "poll"))
OF_TIME = frozenset(("clock_gettime", "pthread_getcpuclockid", "tzset"))
KEYWORDS = frozenset(
    (
        "close_fds",
        "creationflags",
        "dir_fd",
        "pass_fds",
        "preexec_fn",
        "process_group",
        "start_new_session",
    )
)
"""Arguments of ``subprocess``."""
SYSTEM_PATH = re.compile(r"/(proc|dev|etc|tmp|var|usr|sys|run|bin)(/|$)")
CONDITIONS = frozenset((("os", "altsep"), ("os", "name"), ("os", "sep"), ("sys", "platform")))
"""Questions about the system: each has a branch that the others take."""
