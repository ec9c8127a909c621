// Command lakepulse collects usage and performance metrics of apps, carries them
// through an event log into Postgres, and shows them to administrators.
//
// One binary holds every role: see services/services.go for what each target is
// made of, and cli.go for the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker in release builds.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
