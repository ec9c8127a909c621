// Package web holds the built dashboard, so that the binary is all there is to deploy.
//
// The build is not committed: a clean clone embeds an empty directory, still compiles, and whoever serves it must
// say what to run when index.html is missing. `npm run build` fills dist.
package web
