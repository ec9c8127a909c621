package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// lockfile is what we read of a package-lock.json, version 2 or 3.
type lockfile struct {
	Packages map[string]struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Integrity string `json:"integrity"`
		License   string `json:"license"`
		Dev       bool   `json:"dev"`
		Optional  bool   `json:"optional"`
		Link      bool   `json:"link"`
	} `json:"packages"`
}

// npmParts lists the packages a web project's build may have taken in.
func npmParts(dir string) ([]part, error) {
	data, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock lockfile
	if err := json.Unmarshal(data, &lock); err != nil {
		return nil, fmt.Errorf("%s/package-lock.json: %w", dir, err)
	}
	var parts []part
	for path, p := range lock.Packages {
		if path == "" || p.Dev || p.Link || !strings.Contains(path, "node_modules/") {
			continue // the project itself, its tools, its own packages
		}
		name := p.Name
		if name == "" {
			name = path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
		}
		one := part{ecosystem: "npm", name: name, version: p.Version, integrity: p.Integrity, licence: p.License}
		found, text, err := licenceIn(filepath.Join(dir, path))
		switch {
		case err == nil:
			one.text = text
			if one.licence == "" {
				one.licence = found
			}
		case errors.Is(err, errNoLicence), errors.Is(err, fs.ErrNotExist):
			// Many packages ship none, and one for another platform is not installed: then
			// the licence the lockfile names is what there is.
		default:
			return nil, fmt.Errorf("package %s: %w", name, err)
		}
		parts = append(parts, one)
	}
	return parts, nil
}
