package main

import "context"

func (b *bench) footprint(ctx context.Context) error  { return nil }
func (b *bench) accepted(ctx context.Context) error   { return nil }
func (b *bench) latency(ctx context.Context) error    { return nil }
func (b *bench) freshness(ctx context.Context) error  { return nil }
func (b *bench) dashboard(ctx context.Context) error  { return nil }
func (b *bench) collection(ctx context.Context) error { return nil }
func (b *bench) scaling(ctx context.Context) error    { return nil }
func (b *bench) growth(ctx context.Context) error     { return nil }
