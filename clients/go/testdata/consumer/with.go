//go:build lakepulse

package main

import (
	"context"
	"net/http"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
)

type printer struct{ sent string }

func (p *printer) Send(_ context.Context, b *lakepulse.Batch, _ int64) (lakepulse.Result, error) {
	for i := range b.Performance {
		p.sent = b.Performance[i].Method + " " + b.Performance[i].Endpoint
	}
	return lakepulse.Result{Accepted: b.Len()}, nil
}

func measured(next http.Handler) (http.Handler, func(context.Context) string) {
	p := &printer{}
	lp, err := lakepulse.New(lakepulse.Config{App: "shop", Sink: p})
	if err != nil {
		panic(err)
	}
	return lp.Middleware(next), func(ctx context.Context) string {
		if err := lp.Close(ctx); err != nil {
			return err.Error()
		}
		return p.sent
	}
}
