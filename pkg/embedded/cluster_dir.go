package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// defaultHomes are where a root parent keeps a cluster whose data directory the
// database's account cannot enter.
var defaultHomes = []string{"/var/lib/lakepulse", "/var/tmp/lakepulse"}

// clusterHome returns the real directory that holds (or will hold) the cluster of
// dataDir, and makes sure that the account can enter it. Where dataDir is closed to
// the account, <dataDir>/postgres becomes a link to a directory elsewhere; the link is
// the only record, so that removing the data directory means a new, empty database.
func (cfg PostgresConfig) clusterHome(ctx context.Context, who account, dataDir string, logger *slog.Logger) (string, error) {
	link := filepath.Join(dataDir, "postgres")
	if target, err := os.Readlink(link); err == nil {
		return absoluteTarget(dataDir, target), nil
	}
	closed := openTo(ctx, who, dataDir)
	if closed == nil {
		return link, nil
	}
	if _, err := os.Lstat(link); err == nil {
		return "", fmt.Errorf("the user that PostgreSQL runs as cannot enter %s any more (%w); make its parent directories traversable (chmod o+x)", dataDir, closed)
	}
	home, err := makeHome(ctx, who, cfg.homes)
	if err != nil {
		return "", fmt.Errorf("the user that PostgreSQL runs as can enter neither %s (%w) nor a directory elsewhere (%w); choose another data directory, or set DATABASE_URL to a database of yours", dataDir, closed, err)
	}
	if err := os.Symlink(home, link); err != nil {
		return "", errors.Join(fmt.Errorf("link the database cluster: %w", err), os.RemoveAll(filepath.Dir(home)))
	}
	logger.Warn("the database is kept outside the data directory, which PostgreSQL's user cannot enter", "data_dir", dataDir, "database_dir", home)
	return home, nil
}

func absoluteTarget(dataDir, target string) string {
	if filepath.IsAbs(target) {
		return target
	}
	return filepath.Join(dataDir, target)
}

// openTo fails if the account cannot enter dataDir. It opens dataDir itself (which is
// ours) for passing through if only that is missing; directories above are not ours to
// change.
func openTo(ctx context.Context, who account, dataDir string) error {
	if who.enter(ctx, dataDir) == nil {
		return nil
	}
	if err := who.enter(ctx, filepath.Dir(dataDir)); err != nil {
		return err
	}
	info, err := os.Stat(dataDir)
	if err != nil {
		return err
	}
	if err := os.Chmod(dataDir, info.Mode().Perm()|0o011); err != nil {
		return err
	}
	return who.enter(ctx, dataDir)
}

// makeHome makes a directory of its own for one cluster under the first usable base.
func makeHome(ctx context.Context, who account, bases []string) (string, error) {
	var failures []error
	for _, base := range bases {
		if err := os.MkdirAll(base, 0o711); err != nil { //nolint:gosec // the account passes through
			failures = append(failures, err)
			continue
		}
		dir, err := os.MkdirTemp(base, "data-")
		if err != nil {
			failures = append(failures, err)
			continue
		}
		err = os.Chmod(dir, 0o711) //nolint:gosec // as above
		if err == nil {
			err = who.enter(ctx, dir)
		}
		if err == nil {
			return filepath.Join(dir, "postgres"), nil
		}
		failures = append(failures, err, os.Remove(dir))
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
