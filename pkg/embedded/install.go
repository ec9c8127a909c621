package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	oldestMajor = 14
	// fetchedMajor is fetched for a new cluster where no installation is found.
	fetchedMajor = 17
	// waysOut ends every message about a database that cannot be had here.
	waysOut = "install PostgreSQL 14 or newer, or set DATABASE_URL to a database of yours"
)

// ErrNoPostgres is wrapped when no PostgreSQL can be found or fetched.
var ErrNoPostgres = errors.New("no PostgreSQL to run")

// installation is a directory with PostgreSQL's server programs.
type installation struct {
	binDir       string
	major, minor int
}

func (i installation) program(name string) string { return filepath.Join(i.binDir, name) }

// defaultInstallPatterns are the places where packages put PostgreSQL without putting it on
// the PATH: Debian, Red Hat, Homebrew (Apple silicon, Intel, Linux), Postgres.app, and
// PostgreSQL's own default.
var defaultInstallPatterns = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/local/pgsql/bin",
}

// searchInstallations lists the usable installations, newest first. Usable means that
// the account can run it, so one inside root's home is passed over.
func searchInstallations(ctx context.Context, who account, patterns []string) []installation {
	var found []installation
	seen := map[string]bool{}
	for _, dir := range candidateDirs(patterns) {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		if inst, err := inspect(ctx, who, dir); err == nil {
			found = append(found, inst)
		}
	}
	slices.SortStableFunc(found, func(a, b installation) int {
		if a.major != b.major {
			return b.major - a.major
		}
		return b.minor - a.minor
	})
	return found
}

func candidateDirs(patterns []string) []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(resolved))
		}
	}
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			panic("embedded: malformed pattern " + pattern) // they are constants
		}
		for _, match := range matches {
			if resolved, err := filepath.EvalSymlinks(match); err == nil {
				dirs = append(dirs, resolved)
			}
		}
	}
	return dirs
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// inspect asks the programs in dir for their version, as the account that will run them.
func inspect(ctx context.Context, who account, dir string) (installation, error) {
	inst := installation{binDir: dir}
	if _, err := os.Stat(inst.program("initdb")); err != nil {
		return inst, fmt.Errorf("server programs incomplete: %w", err)
	}
	out, err := who.command(ctx, "/", inst.program("postgres"), "--version").Output()
	if err != nil {
		return inst, fmt.Errorf("run %s: %w", inst.program("postgres"), err)
	}
	match := versionPattern.FindStringSubmatch(string(out))
	if match == nil {
		return inst, fmt.Errorf("%s: unknown version %q", inst.program("postgres"), out)
	}
	if inst.major, err = strconv.Atoi(match[1]); err != nil {
		return inst, err
	}
	if match[2] != "" {
		if inst.minor, err = strconv.Atoi(match[2]); err != nil {
			return inst, err
		}
	}
	if inst.major < oldestMajor {
		return inst, fmt.Errorf("%s: version %d is older than %d", inst.program("postgres"), inst.major, oldestMajor)
	}
	return inst, nil
}

// findInstallation returns the newest installation, or for a cluster that exists the
// one of its major version: PostgreSQL opens no other's files.
func (cfg PostgresConfig) findInstallation(ctx context.Context, who account, clusterDir string) (installation, error) {
	wanted, err := clusterMajor(clusterDir)
	if err != nil {
		return installation{}, err
	}
	found := searchInstallations(ctx, who, cfg.installPatterns)
	for _, inst := range found {
		if wanted == 0 || inst.major == wanted {
			return inst, nil
		}
	}
	fetched, err := cfg.fetch(ctx, who, wanted)
	if err == nil {
		return fetched, nil
	}
	if wanted != 0 {
		return installation{}, fmt.Errorf("%w: %s was made by PostgreSQL %d, installed is %s, and fetching %d failed (%w); install PostgreSQL %d, or set DATABASE_URL to a database of yours",
			ErrNoPostgres, clusterDir, wanted, versionsOf(found), wanted, err, wanted)
	}
	return installation{}, fmt.Errorf("%w: none installed, and fetching one failed (%w); %s", ErrNoPostgres, err, waysOut)
}

func versionsOf(found []installation) string {
	if len(found) == 0 {
		return "none"
	}
	var versions []string
	for _, inst := range found {
		versions = append(versions, strconv.Itoa(inst.major))
	}
	return strings.Join(versions, ", ")
}

// clusterMajor reads the major version of an existing cluster, 0 when there is none.
func clusterMajor(clusterDir string) (int, error) {
	content, err := os.ReadFile(filepath.Join(clusterDir, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the database cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read the version of the database cluster: %w", err)
	}
	return major, nil
}
