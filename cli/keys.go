package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/lakepulse/lakepulse/pkg/auth"
)

type keysCmd struct {
	natsFlags `embed:""`

	Create keysCreateCmd `cmd:"" help:"Create a key for an app. It is shown once."`
	List   keysListCmd   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keysRevokeCmd `cmd:"" help:"Revoke a key at once and for good."`
}

type keysCreateCmd struct {
	App  string `help:"App that sends events with the key." required:""`
	Note string `help:"Note to tell keys apart."`
}

func (k keysCreateCmd) Run(e *env, c *commands) error {
	return withKeys(e, &c.Keys.natsFlags, func(ctx context.Context, keys *auth.Keys) error {
		plain, key, err := keys.Create(ctx, k.App, k.Note)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", plain)
		if err == nil {
			_, err = fmt.Fprintf(e.errs, "Key %s for app %s. Store it now: it is not shown again.\n", key.ID, key.App)
		}
		return err
	})
}

type keysListCmd struct{}

func (keysListCmd) Run(e *env, c *commands) error {
	return withKeys(e, &c.Keys.natsFlags, func(ctx context.Context, keys *auth.Keys) error {
		list, err := keys.List(ctx)
		if err != nil {
			return err
		}
		for _, k := range list {
			state := "active"
			if k.RevokedAt != nil {
				state = "revoked " + k.RevokedAt.UTC().Format(time.RFC3339)
			}
			if _, err := fmt.Fprintf(e.out, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.App, k.Created.UTC().Format(time.RFC3339), state, k.Note); err != nil {
				return err
			}
		}
		return nil
	})
}

type keysRevokeCmd struct {
	ID string `arg:"" help:"Id of the key, as list shows it."`
}

func (k keysRevokeCmd) Run(e *env, c *commands) error {
	return withKeys(e, &c.Keys.natsFlags, func(ctx context.Context, keys *auth.Keys) error {
		_, err := keys.Revoke(ctx, k.ID)
		return err
	})
}

// withKeys runs do on the keys in the event log.
func withKeys(e *env, f *natsFlags, do func(context.Context, *auth.Keys) error) error {
	nc, js, err := f.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	bucket, err := auth.EnsureBucket(e.ctx, js, 1)
	if err != nil {
		return err
	}
	return do(e.ctx, auth.NewKeys(bucket, time.Now))
}
