package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// The CycloneDX 1.6 fields we write. No timestamp and no serial number: the same
// release gives the same document.
type (
	document struct {
		Format      string      `json:"bomFormat"`
		SpecVersion string      `json:"specVersion"`
		Version     int         `json:"version"`
		Metadata    metadata    `json:"metadata"`
		Components  []component `json:"components"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref"`
		Group      string     `json:"group,omitempty"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		Purl       string     `json:"purl"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Licences   []licence  `json:"licenses,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	licence struct {
		Expression string     `json:"expression,omitempty"`
		Licence    *licenceID `json:"license,omitempty"`
	}
	licenceID struct {
		ID   string `json:"id,omitempty"`
		Name string `json:"name,omitempty"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func cycloneDX(version string, parts []part) ([]byte, error) {
	const module = "github.com/lakepulse/lakepulse"
	self := component{Type: "application", Name: "lakepulse", Version: version, Purl: purl("golang", module, version),
		Licences: []licence{spdxLicence("Apache-2.0")}}
	self.Ref = self.Purl
	doc := document{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Metadata: metadata{Component: self},
		Components: make([]component, 0, len(parts))}
	for _, p := range parts {
		doc.Components = append(doc.Components, p.component())
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode bill of materials: %w", err)
	}
	return append(out, '\n'), nil
}

func (p part) component() component {
	c := component{Type: "library", Name: p.name, Version: p.version, Purl: purl(p.ecosystem, p.name, p.version)}
	c.Ref = c.Purl
	if scope, name, scoped := strings.Cut(p.name, "/"); p.ecosystem == "npm" && scoped {
		c.Group, c.Name = scope, name
	}
	if p.licence != "" {
		c.Licences = []licence{spdxLicence(p.licence)}
	}
	switch sum, isSHA512 := strings.CutPrefix(p.integrity, "sha512-"); {
	case isSHA512:
		if raw, err := base64.StdEncoding.DecodeString(sum); err == nil { // else npm itself would not have installed it
			c.Hashes = []hash{{Algorithm: "SHA-512", Content: hex.EncodeToString(raw)}}
		}
	case p.integrity != "":
		// Go's h1 is the hash of a list of hashes, which has no name in CycloneDX.
		c.Properties = []property{{Name: "lakepulse:go.sum", Value: p.integrity}}
	}
	return c
}

func spdxLicence(expression string) licence {
	switch {
	case strings.ContainsAny(expression, " ("):
		return licence{Expression: expression}
	case strings.HasPrefix(expression, "LicenseRef-"):
		return licence{Licence: &licenceID{Name: expression}}
	}
	return licence{Licence: &licenceID{ID: expression}}
}

// purl is the package URL: the scope's @ is escaped, slashes are not.
func purl(ecosystem, name, version string) string {
	escaped := strings.ReplaceAll(url.PathEscape(name), "%2F", "/")
	escaped = strings.ReplaceAll(escaped, "@", "%40")
	return "pkg:" + ecosystem + "/" + escaped + "@" + url.PathEscape(version)
}
