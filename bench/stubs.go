package main

import "context"

func (b *bench) dashboard(ctx context.Context) error  { return nil }
func (b *bench) collection(ctx context.Context) error { return nil }
func (b *bench) growth(ctx context.Context) error     { return nil }
