package embedded

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is who the database's processes run as: this process's own user, or the
// unprivileged one that a root parent drops them to.
type account struct {
	credential *syscall.Credential // nil: as this process
}

// chooseAccount picks the account for the cluster in clusterDir. A cluster that exists
// keeps its owner, so that one made by an ordinary user still opens under sudo.
func chooseAccount(clusterDir string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	if info, err := os.Stat(clusterDir); err == nil {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
			return accountOf(owner.Uid, owner.Gid), nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue // not on this system: try the next
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return accountOf(uint32(uid), uint32(gid)), nil
		}
	}
	return account{}, fmt.Errorf("PostgreSQL does not run as root and this system has no user postgres or nobody to run it as; %s", waysOut)
}

func accountOf(uid, gid uint32) account {
	return account{credential: &syscall.Credential{Uid: uid, Gid: gid}}
}

// command prepares a program to run as the account, in dir (which the account must be
// able to enter: the parent's own directory often is not).
func (a account) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // PostgreSQL's own programs, where they were found, and the shell of enter
	cmd.Dir = dir
	cmd.Env = childEnvironment()
	if a.credential != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential}
	}
	return cmd
}

// childEnvironment is ours without what would steer PostgreSQL behind our back (PGDATA,
// PGOPTIONS, …), with English messages, because start reads them.
func childEnvironment() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "LC_") || name == "LANG" || name == "LANGUAGE" || name == "DATABASE_URL" {
			continue
		}
		env = append(env, entry)
	}
	return append(env, "LC_ALL=C")
}

// own gives path to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// enter fails if the account cannot reach dir and use it as working directory. The
// kernel is asked by trying: modes alone say little where ACLs, mount options or user
// namespaces have a say.
func (a account) enter(ctx context.Context, dir string) error {
	if a.credential == nil {
		return nil
	}
	return a.command(ctx, dir, "/bin/sh", "-c", ":").Run()
}

// ScratchDir makes a temporary directory, named after pattern as in os.MkdirTemp, that
// the account of an embedded PostgreSQL can enter: the usual place for temporary files,
// or /tmp or /var/tmp where that one is closed to it. The caller removes it.
func ScratchDir(pattern string) (string, error) {
	who, err := chooseAccount("")
	if err != nil {
		return "", err
	}
	var lastErr error
	for _, base := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		dir, err := os.MkdirTemp(base, pattern)
		if err != nil {
			lastErr = err
			continue
		}
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the account passes through
			return "", err
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return "", err
		}
		if lastErr = who.enter(context.Background(), dir); lastErr == nil {
			return dir, nil
		}
		if err := os.Remove(dir); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("no usable temporary directory: %w", lastErr)
}
