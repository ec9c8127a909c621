// Package deploy holds no code of the product, but what brings it to Databricks
// and the tests of that:
//
//	../databricks.yml, ../app.yaml   the bundle, and how the app is started
//	release.sh, stage.sh             what `make release` makes: ./release
//	start.sh                         what runs first in the app
//	job/                             the daily job's trigger
//	sbom/                            the bill of materials
//
// Invariants: no staged file reaches 10 MB; every name one of these files uses of
// another (paths, resources, variables, commands, environment variables) exists
// there; a staged release starts, serves and stops as Databricks Apps expect.
package deploy
