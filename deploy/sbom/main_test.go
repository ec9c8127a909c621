package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const mit = "MIT License\n\nPermission is hereby granted, free of charge, to any person"

func TestRecognise(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"Apache License\n  Version 2.0, January 2004": "Apache-2.0",
		"Apache License, Version 2.0":                 "Apache-2.0",
		mit:                                           "MIT",
		"Redistributions in binary form must reproduce … Neither the name of Google": "BSD-3-Clause",
		"Redistributions in binary form must reproduce the above":                    "BSD-2-Clause",
		"Permission to use, copy, modify, and/or distribute this software":           "ISC",
		"GNU GENERAL PUBLIC LICENSE Version 3":                                       "GPL",
		"All rights reserved.":                                                       "NOASSERTION",
	}
	for text, want := range cases {
		require.Equal(t, want, recognise([]byte(text)), text)
	}
}

func TestPermissive(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		"MIT": true, "(MPL-2.0 OR Apache-2.0)": true, "GPL-3.0-only OR MIT": true, "MIT AND ISC": true,
		"GPL-3.0-only": false, "MIT AND GPL-3.0-only": false, "NOASSERTION": false, "": false,
	} {
		require.Equal(t, want, permissive(expression), expression)
	}
}

// project makes a web project with the given packages in its lockfile, of which
// the one named left-pad is installed with a licence text.
func project(t *testing.T, packages map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	lock, err := json.Marshal(map[string]any{"lockfileVersion": 3, "packages": packages})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package-lock.json"), lock, 0o600))
	installed := filepath.Join(dir, "node_modules", "left-pad")
	require.NoError(t, os.MkdirAll(installed, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(installed, "LICENSE"), []byte(mit), 0o600))
	return dir
}

func TestNPM(t *testing.T) {
	t.Parallel()
	dir := project(t, map[string]any{
		"":                          map[string]any{"name": "dashboard"},
		"node_modules/left-pad":     map[string]any{"version": "1.3.0", "integrity": "sha512-AAAA"},
		"node_modules/@scope/thing": map[string]any{"version": "2.0.0", "license": "ISC"},
		"node_modules/vite":         map[string]any{"version": "7.0.0", "license": "MIT", "dev": true},
		"node_modules/tracker":      map[string]any{"link": true},
	})
	parts, err := npmParts(dir)
	require.NoError(t, err)
	parts = sorted(parts)
	require.Len(t, parts, 2, "neither the project, nor its tools, nor its own packages")
	require.Equal(t, "ISC", parts[0].licence, "what the lockfile says, where no text is installed")
	require.Equal(t, "MIT", parts[1].licence, "what the text says, where the lockfile is silent")
	require.NoError(t, permitted(parts))

	one := parts[0].component()
	require.Equal(t, []string{"@scope", "thing", "pkg:npm/%40scope/thing@2.0.0"}, []string{one.Group, one.Name, one.Purl})
}

func TestRelease(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	binary, err := os.Executable() // any Go binary will do; the modules of the real one are checked where it is staged
	require.NoError(t, err)
	dir := project(t, map[string]any{"node_modules/left-pad": map[string]any{"version": "1.3.0", "license": "MIT"}})
	args := []string{"-binary", binary, "-version", "v1", "-out", out, "-npm", dir, "-npm", dir}
	require.NoError(t, run(t.Context(), args))

	first, err := os.ReadFile(filepath.Join(out, "sbom.cdx.json"))
	require.NoError(t, err)
	var bom document
	require.NoError(t, json.Unmarshal(first, &bom))
	require.Equal(t, "CycloneDX", bom.Format)
	refs := make(map[string]bool)
	for _, c := range bom.Components {
		require.False(t, refs[c.Ref], "%s is listed twice", c.Ref)
		refs[c.Ref] = true
		require.NotEmpty(t, c.Licences, c.Ref)
	}
	require.True(t, refs["pkg:npm/left-pad@1.3.0"])
	texts, err := os.ReadFile(filepath.Join(out, "LICENSES.txt"))
	require.NoError(t, err)
	require.Contains(t, string(texts), "Permission is hereby granted, free of charge")

	t.Run("again gives the same bytes", func(t *testing.T) {
		require.NoError(t, run(t.Context(), args))
		second, err := os.ReadFile(filepath.Join(out, "sbom.cdx.json"))
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))
	})

	t.Run("a part that may not be shipped ends it", func(t *testing.T) {
		bad := project(t, map[string]any{"node_modules/viral": map[string]any{"version": "1.0.0", "license": "GPL-3.0-only"}})
		require.ErrorContains(t, run(t.Context(), []string{"-binary", binary, "-out", t.TempDir(), "-npm", bad}), "viral")
	})
}
