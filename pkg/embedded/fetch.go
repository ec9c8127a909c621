package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// fetchedVersions are the builds the fetching library knows how to get.
var fetchedVersions = map[int]embeddedpostgres.PostgresVersion{
	14: embeddedpostgres.V14,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// fetch returns a PostgreSQL of the wanted major version (0: fetchedMajor) from the
// user's cache, downloading it on first use. The cache is filled by a rename, so a
// download that is cut off, or two at once, leave nothing half-made in it.
func (cfg PostgresConfig) fetch(ctx context.Context, who account, major int) (installation, error) {
	if major == 0 {
		major = fetchedMajor
	}
	version, ok := fetchedVersions[major]
	if !ok {
		return installation{}, fmt.Errorf("no build of PostgreSQL %d to fetch", major)
	}
	cache, err := cfg.cacheDir()
	if err != nil {
		return installation{}, err
	}
	final := filepath.Join(cache, "postgresql-"+string(version))
	if inst, err := inspect(ctx, who, filepath.Join(final, "bin")); err == nil {
		return inst, nil
	}
	// Everyone may read the cache: as root, the programs run as somebody else.
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // see above
		return installation{}, fmt.Errorf("create cache: %w", err)
	}
	work, err := os.MkdirTemp(cache, ".fetch-*")
	if err != nil {
		return installation{}, fmt.Errorf("create cache: %w", err)
	}
	extracted := filepath.Join(work, "extracted")
	downloaded := make(chan error, 1)
	go func() { downloaded <- download(work, extracted, version, cfg.Repository) }()
	select {
	case err = <-downloaded:
	case <-ctx.Done():
		go func() { // the library knows no context: its call ends by itself
			_ = errors.Join(<-downloaded, os.RemoveAll(work)) // nobody waits for it; a left-over costs space in a cache, no more
		}()
		return installation{}, ctx.Err()
	}
	if err == nil {
		err = adoptFetched(ctx, who, work, extracted, final)
	}
	if err := errors.Join(err, os.RemoveAll(work)); err != nil {
		return installation{}, err
	}
	return inspect(ctx, who, filepath.Join(final, "bin"))
}

// adoptFetched moves what was extracted to its place in the cache.
func adoptFetched(ctx context.Context, who account, work, extracted, final string) error {
	if err := os.Chmod(work, 0o755); err != nil { //nolint:gosec // for everyone, as the cache is
		return err
	}
	if _, err := inspect(ctx, who, filepath.Join(extracted, "bin")); err != nil {
		return fmt.Errorf("the fetched programs do not run here: %w", err)
	}
	err := os.Rename(extracted, final)
	if err == nil {
		return nil
	}
	if _, inspectErr := inspect(ctx, who, filepath.Join(final, "bin")); inspectErr == nil {
		return nil // another process was faster
	}
	return fmt.Errorf("put the fetched programs into the cache: %w", err)
}

// download makes the library fetch and unpack the programs. It has no call for that
// alone, so it is told to start a server with a locale that does not exist: initdb
// refuses right after the unpacking (or refuses root even before). Whether the
// programs are there decides, not the library's answer.
func download(work, extracted string, version embeddedpostgres.PostgresVersion, repository string) error {
	ports, err := FreePorts(1)
	if err != nil {
		return err
	}
	var output bytes.Buffer
	config := embeddedpostgres.DefaultConfig().
		Version(version).
		Port(uint32(ports[0])).
		CachePath(filepath.Join(work, "archive")).
		BinariesPath(extracted).
		RuntimePath(filepath.Join(work, "run")).
		DataPath(filepath.Join(work, "data")).
		Locale("fetch-only").
		Logger(&output)
	if repository != "" {
		config = config.BinaryRepositoryURL(repository)
	}
	server := embeddedpostgres.NewDatabase(config)
	startErr := server.Start()
	if startErr == nil {
		// A C library that takes any locale name: it really runs.
		if err := server.Stop(); err != nil {
			return fmt.Errorf("stop the fetched server: %w", err)
		}
	}
	if _, err := os.Stat(filepath.Join(extracted, "bin", "postgres")); err != nil {
		return startErr
	}
	return nil
}

// cacheDir is where fetched programs are kept between runs.
func (cfg PostgresConfig) cacheDir() (string, error) {
	if cfg.CacheDir != "" {
		return filepath.Abs(cfg.CacheDir)
	}
	if os.Geteuid() == 0 {
		return "/var/cache/lakepulse", nil // root's own cache is closed to the account
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache directory: %w", err)
	}
	return filepath.Join(base, "lakepulse"), nil
}
