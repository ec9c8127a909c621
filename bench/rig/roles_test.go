package rig

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
)

const (
	burnCPU   = 0.2      // seconds
	holdBytes = 64 << 20 // of memory
)

// roles are the programs the tests start.
var roles map[string]func(args []string)

func init() {
	roles = map[string]func([]string){
		"nats": func(args []string) {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			defer stop()
			must(ServeNATS(ctx, args[0], slices.Contains(args[1:], "relaxed"), slog.New(slog.DiscardHandler)))
		},
		"burn": func([]string) { burn() },
		"wait": func([]string) { wait("waiting") },
		"hold": func([]string) {
			kept := touched()
			wait("holding")
			kept[0]++
		},
		"swell": func(args []string) {
			touched()
			debug.FreeOSMemory()
			if len(args) == 0 {
				wait("swollen")
			}
		},
		"fail": func([]string) {
			fmt.Println("out of luck")
			os.Exit(3)
		},
		"talk": func([]string) {
			for i := range 10 {
				fmt.Println(i)
			}
		},
		// parent has a child do something, which ends with it.
		"parent": func(args []string) {
			self, err := os.Executable()
			must(err)
			child := exec.Command(self, args...) //nolint:gosec,noctx // ourselves; the death signal ends it
			child.Stdout = os.Stdout
			child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			must(child.Start())
			if args[0] == "burn" {
				must(child.Wait())
				fmt.Println("child ended")
			}
			wait("")
		},
	}
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// wait says a word and stays until it is told to end.
func wait(word string) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	fmt.Println(word)
	<-ended
}

// burn uses burnCPU seconds of CPU.
func burn() {
	for spent, x := 0.0, 0; spent < burnCPU+0.02; x++ { // two ticks, for what the kernel rounds off
		if x%100_000 == 0 {
			var u syscall.Rusage
			must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
			spent = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
		}
	}
}

// touched returns memory that is really there.
func touched() []byte {
	b := make([]byte, holdBytes)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	return b
}
