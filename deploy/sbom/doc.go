// Command sbom says what a release is made of: sbom.cdx.json, a CycloneDX 1.6
// bill of materials, and LICENSES.txt, the licence texts of every part.
//
//	go run ./deploy/sbom -binary lakepulse -version v1.2.3 -out release -npm web
//
// The Go modules are read from the binary itself, so the list is what was linked,
// not what go.mod allows. The npm packages are those of package-lock.json that
// are not for development only: what the dashboard's build may have taken in.
//
// Invariants: no network beyond the module cache; the same inputs give the same
// bytes; a part without a licence text, or with one that is not known to be
// permissive, ends the release with its name.
package main
