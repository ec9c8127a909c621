// Command lakepulse collects usage and performance metrics of apps, carries them
// through an event log into Postgres, and shows them to administrators.
//
// One binary holds every role: see services/services.go for what each target is
// made of, and cli/cli.go for the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/lakepulse/lakepulse/cli"
)

// version is set by the linker in release builds.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, cli.Params{
		Version: version, Args: os.Args[1:], Environ: os.Environ(), In: os.Stdin, Out: os.Stdout, Errs: os.Stderr,
	})
	stop()
	os.Exit(code)
}
