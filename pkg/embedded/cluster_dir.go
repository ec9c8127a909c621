package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// sharedHomes are where a root parent keeps a cluster whose data directory the
// database's account cannot enter.
var sharedHomes = []string{"/var/lib/lakepulse", "/var/tmp/lakepulse"}

// clusterHome returns the real directory that holds (or will hold) the cluster of
// dataDir, and makes sure that the account can enter it. Where dataDir is closed to
// the account, <dataDir>/postgres becomes a link to a directory elsewhere; the link is
// the only record, so that removing the data directory means a new, empty database.
func clusterHome(ctx context.Context, who account, dataDir string) (string, error) {
	link := filepath.Join(dataDir, "postgres")
	if target, err := os.Readlink(link); err == nil {
		return absoluteTarget(dataDir, target), nil
	}
	if openTo(ctx, who, dataDir) {
		return link, nil
	}
	if _, err := os.Lstat(link); err == nil {
		return "", fmt.Errorf("the user that PostgreSQL runs as cannot enter %s any more; make its parent directories traversable (chmod o+x)", dataDir)
	}
	home, err := makeSharedHome(ctx, who)
	if err != nil {
		return "", fmt.Errorf("the user that PostgreSQL runs as can enter neither %s nor a directory elsewhere (%w); choose another data directory, or set DATABASE_URL to a database of yours", dataDir, err)
	}
	if err := os.Symlink(home, link); err != nil {
		return "", errors.Join(fmt.Errorf("link the database cluster: %w", err), os.RemoveAll(filepath.Dir(home)))
	}
	return home, nil
}

func absoluteTarget(dataDir, target string) string {
	if filepath.IsAbs(target) {
		return target
	}
	return filepath.Join(dataDir, target)
}

// openTo says whether the account can enter dataDir, opening dataDir itself (which is
// ours) for passing through if that is what is missing. Directories above are not ours
// to change.
func openTo(ctx context.Context, who account, dataDir string) bool {
	if who.enters(ctx, dataDir) {
		return true
	}
	if !who.enters(ctx, filepath.Dir(dataDir)) {
		return false
	}
	info, err := os.Stat(dataDir)
	if err != nil || os.Chmod(dataDir, info.Mode().Perm()|0o011) != nil {
		return false
	}
	return who.enters(ctx, dataDir)
}

func makeSharedHome(ctx context.Context, who account) (string, error) {
	var failures []error
	for _, base := range sharedHomes {
		if err := os.MkdirAll(base, 0o711); err != nil {
			failures = append(failures, err)
			continue
		}
		dir, err := os.MkdirTemp(base, "data-")
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			return "", err
		}
		if who.enters(ctx, dir) {
			return filepath.Join(dir, "postgres"), nil
		}
		failures = append(failures, fmt.Errorf("%s is closed to it", dir), os.Remove(dir))
	}
	return "", errors.Join(failures...)
}

// initCluster makes the cluster in home if there is none. It is built beside its place
// and renamed, so that a start that is cut off leaves no half-made cluster behind.
func initCluster(ctx context.Context, who account, inst installation, home, password string, fast bool) error {
	major, err := clusterMajor(home)
	if err != nil || major != 0 {
		return err
	}
	building := home + ".init"
	passwordFile := home + ".init-password"
	defer func() { _ = os.Remove(passwordFile) }() // a left-over is overwritten and removed next time
	if err := os.RemoveAll(building); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := os.Mkdir(building, 0o700); err != nil {
		return fmt.Errorf("create the cluster's directory: %w", err)
	}
	if err := writePrivate(passwordFile, password+"\n"); err != nil {
		return err
	}
	if err := errors.Join(who.own(building), who.own(passwordFile)); err != nil {
		return fmt.Errorf("hand the cluster's directory to PostgreSQL's user: %w", err)
	}
	if err := runInitdb(ctx, who, inst, building, passwordFile, fast); err != nil {
		return errors.Join(err, os.RemoveAll(building))
	}
	if err := os.Rename(building, home); err != nil {
		return fmt.Errorf("put the cluster in its place: %w", err)
	}
	if fast {
		return nil
	}
	return syncDir(filepath.Dir(home))
}

func runInitdb(ctx context.Context, who account, inst installation, dir, passwordFile string, fast bool) error {
	args := []string{
		"-D", dir, "-U", postgresUser, "--pwfile", passwordFile, "--auth=scram-sha-256",
		// Plain byte order: the same sorting on every system, and the fastest.
		"--encoding=UTF8", "--locale=C",
	}
	if fast {
		args = append(args, "--no-sync")
	}
	var output bytes.Buffer
	cmd := who.command(ctx, dir, inst.program("initdb"), args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(output.String(), 5))
	}
	return nil
}

// syncDir makes a rename in dir survive a crash of the machine.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
