package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// errNoLicence is a directory without a licence's text.
var errNoLicence = errors.New("no licence file found")

// marks are phrases that only one licence's text has, the most particular first.
var marks = []struct{ phrase, spdx string }{
	{"apache license version 2.0", "Apache-2.0"},
	{"mozilla public license version 2.0", "MPL-2.0"},
	{"gnu lesser general public license", "LGPL"},
	{"gnu general public license", "GPL"},
	{"neither the name of", "BSD-3-Clause"},
	{"names of its contributors may not be used", "BSD-3-Clause"},
	{"redistributions in binary form must reproduce", "BSD-2-Clause"},
	{"permission is hereby granted, free of charge", "MIT"},
	{"permission to use, copy, modify, and/or distribute", "ISC"},
	{"permission to use, copy, modify, and distribute this software", "ISC"},
	{"cc0 1.0 universal", "CC0-1.0"},
	{"sil open font license version 1.1", "OFL-1.1"},
	{"released into the public domain", "Unlicense"},
	{"put into the public domain", "LicenseRef-public-domain"},
	{"in the public domain", "LicenseRef-public-domain"},
}

// allowed are the licences a release may contain without asking a lawyer:
// permissive ones, and MPL-2.0, whose files are used unchanged.
var allowed = []string{
	"Apache-2.0", "MIT", "MIT-0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "CC0-1.0", "CC-BY-4.0", "OFL-1.1",
	"Unlicense", "Zlib", "BlueOak-1.0.0", "Python-2.0", "MPL-2.0", "LicenseRef-public-domain",
}

// permissive reports whether an SPDX expression can be met by allowed licences:
// one of an OR, all of an AND.
func permissive(expression string) bool {
	expression = strings.Trim(strings.TrimSpace(expression), "()")
	if expression == "" {
		return false
	}
	for option := range strings.SplitSeq(expression, " OR ") {
		all := true
		for term := range strings.SplitSeq(option, " AND ") {
			all = all && slices.Contains(allowed, strings.Trim(strings.TrimSpace(term), "()"))
		}
		if all {
			return true
		}
	}
	return false
}

// licenceIn finds and recognises the licence of what is in dir. An unknown text
// has the licence NOASSERTION.
func licenceIn(dir string) (spdx string, text []byte, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	for _, entry := range entries {
		name := strings.ToLower(entry.Name())
		named := strings.HasPrefix(name, "licen") || strings.HasPrefix(name, "copying") || strings.HasPrefix(name, "unlicense")
		if entry.IsDir() || !named {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", nil, err
		}
		return recognise(text), text, nil
	}
	return "", nil, errNoLicence
}

func recognise(text []byte) string {
	flat := strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(string(text), ",", ", ")), " "))
	flat = strings.ReplaceAll(flat, "license, version", "license version")
	for _, mark := range marks {
		if strings.Contains(flat, mark.phrase) {
			return mark.spdx
		}
	}
	return "NOASSERTION"
}
