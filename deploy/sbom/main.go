package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// part is one module or package in the release.
type part struct {
	ecosystem string // "golang" or "npm"
	name      string
	version   string
	integrity string // as the ecosystem states it: h1:… or sha512-…
	licence   string // SPDX
	text      []byte // of the licence; nil where the package ships none
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	binary := flags.String("binary", "", "the Go binary")
	version := flags.String("version", "", "version of the release")
	out := flags.String("out", ".", "directory for sbom.cdx.json and LICENSES.txt")
	var npm []string
	flags.Func("npm", "a directory with package-lock.json and node_modules (repeatable)", func(dir string) error {
		npm = append(npm, dir)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	parts, err := goParts(ctx, *binary)
	if err != nil {
		return err
	}
	for _, dir := range npm {
		more, err := npmParts(dir)
		if err != nil {
			return err
		}
		parts = append(parts, more...)
	}
	parts = sorted(parts)
	if err := permitted(parts); err != nil {
		return err
	}
	document, err := cycloneDX(*version, parts)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(*out, "sbom.cdx.json"), document, 0o644),           //nolint:gosec // published
		os.WriteFile(filepath.Join(*out, "LICENSES.txt"), licenceTexts(parts), 0o644)) //nolint:gosec // as above
}

// sorted orders the parts and drops those that are named twice.
func sorted(parts []part) []part {
	order := func(a, b part) int {
		return cmp.Or(cmp.Compare(a.ecosystem, b.ecosystem), cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version))
	}
	slices.SortStableFunc(parts, order)
	return slices.CompactFunc(parts, func(a, b part) bool { return order(a, b) == 0 })
}

// permitted names every part that may not be shipped.
func permitted(parts []part) error {
	var errs []error
	for _, p := range parts {
		if !permissive(p.licence) {
			errs = append(errs, fmt.Errorf("%s %s@%s: licence %q is not known to be permissive", p.ecosystem, p.name, p.version, p.licence))
		}
	}
	return errors.Join(errs...)
}

func licenceTexts(parts []part) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "Lakepulse is licensed under the Apache License 2.0 and contains the following.")
	for _, p := range parts {
		fmt.Fprintf(&b, "\n%s\n%s %s@%s: %s\n\n", bytes.Repeat([]byte("="), 78), p.ecosystem, p.name, p.version, p.licence)
		if p.text == nil {
			fmt.Fprintln(&b, "(the package ships no licence text)")
			continue
		}
		b.Write(bytes.TrimSpace(p.text))
		b.WriteByte('\n')
	}
	return b.Bytes()
}
