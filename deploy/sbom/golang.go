package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// goParts lists the modules linked into a binary, and Go's own library.
func goParts(ctx context.Context, binary string) ([]part, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", binary, err)
	}
	modules := make(map[string]part)
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		if strings.HasPrefix(dep.Path, "./") { // of this repository, such as the client: under our own licence
			continue
		}
		modules[dep.Path] = part{ecosystem: "golang", name: dep.Path, version: dep.Version, integrity: dep.Sum}
	}
	dirs, err := moduleDirs(ctx, modules)
	if err != nil {
		return nil, err
	}
	parts := make([]part, 0, len(modules)+1)
	for path, p := range modules {
		if p.licence, p.text, err = licenceIn(dirs[path]); err != nil {
			return nil, fmt.Errorf("module %s: %w", path, err)
		}
		parts = append(parts, p)
	}
	root, err := goCommand(ctx, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	std := part{ecosystem: "golang", name: "std", version: strings.TrimPrefix(info.GoVersion, "go")}
	if std.licence, std.text, err = licenceIn(strings.TrimSpace(root)); err != nil {
		// A distribution's Go keeps its licence elsewhere; it is Go's all the same.
		std.licence = "BSD-3-Clause"
	}
	return append(parts, std), nil
}

// moduleDirs asks the go command where the modules' sources are.
func moduleDirs(ctx context.Context, modules map[string]part) (map[string]string, error) {
	args := []string{"list", "-m", "-json"}
	for path := range modules {
		args = append(args, path)
	}
	out, err := goCommand(ctx, args...)
	if err != nil {
		return nil, err
	}
	dirs := make(map[string]string, len(modules))
	decoder := json.NewDecoder(strings.NewReader(out))
	for {
		var m struct{ Path, Version, Dir string }
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list -m: %w", err)
		}
		if want := modules[m.Path].version; m.Version != want {
			return nil, fmt.Errorf("module %s: linked at %s, go.mod has %s", m.Path, want, m.Version)
		}
		dirs[m.Path] = filepath.Clean(m.Dir)
	}
}

func goCommand(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output() //nolint:gosec // names of modules linked into our own binary
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}
