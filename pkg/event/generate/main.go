// Command generate writes the code and the documents that list the fields of
// events, from the table in pkg/event/fields. Run it with
// `go generate ./pkg/event`; a test fails when a file differs from what it
// would write.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the repository's root")
	flag.Parse()
	if err := writeAll(*root); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func writeAll(root string) error {
	for _, o := range outputs {
		data, err := o.render()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(o.path)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
