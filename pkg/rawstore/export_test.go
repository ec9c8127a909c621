package rawstore

// Inserts reports whether the next batch is inserted instead of copied.
func (s *Store) Inserts() bool { return s.repeats.Load() }
