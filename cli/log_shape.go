package cli

import (
	"fmt"
	"time"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// logCmd administers the streams.
type logCmd struct {
	Shape logShapeCmd `cmd:"" help:"Create the event log, or change its replicas and limits. Roles never change those of an existing log."`
}

type logShapeCmd struct {
	natsFlags `embed:""`

	Replicas     int           `name:"stream-replicas" help:"Replicas: 1, or 3 in a cluster. 0 keeps them." default:"0" env:"LAKEPULSE_STREAM_REPLICAS"`
	StreamMax    int64         `name:"stream-max-bytes" help:"Largest size of the event log in bytes; -1 leaves it to the server." default:"-1" env:"LAKEPULSE_STREAM_MAX_BYTES"`
	DeadMax      int64         `name:"dead-max-bytes" help:"Largest size of the dead letters in bytes; -1 leaves it to the server." default:"-1" env:"LAKEPULSE_DEAD_MAX_BYTES"`
	RawRetention time.Duration `help:"How long raw rows are kept; the log keeps events a day longer." default:"168h" env:"LAKEPULSE_RAW_RETENTION"`
}

// Run creates the streams and buckets, or changes them to the flags.
func (c *logShapeCmd) Run(e *env) error {
	nc, js, err := c.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	topology := stream.DefaultTopology()
	topology.Replicas, topology.MaxBytes, topology.DeadMaxBytes, topology.MaxAge = c.Replicas, c.StreamMax, c.DeadMax, c.RawRetention+24*time.Hour
	if err := topology.Reshape(e.ctx, js); err != nil {
		return err
	}
	state, err := topology.Read(e.ctx, js)
	if err != nil {
		return err
	}
	if _, err := auth.EnsureBucket(e.ctx, js, state.Replicas); err != nil {
		return err
	}
	if _, err := settings.EnsureBucket(e.ctx, js, state.Replicas); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "streams %s and %s, buckets %s and %s: %d replicas\n", stream.Name, stream.DeadName, auth.Bucket, settings.Bucket, state.Replicas)
	return err
}
