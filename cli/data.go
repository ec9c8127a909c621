package cli

import "github.com/lakepulse/lakepulse/services"

// dataFlag is the data directory of a standalone. Tools find a running standalone by
// the addresses it writes there.
type dataFlag struct {
	DataDir string `help:"Data directory of standalone; tools find a running standalone by it." default:"./.lakepulse" env:"LAKEPULSE_DATA_DIR" type:"path"`
}

func (f *dataFlag) apply(_ *env, cfg *services.Config) error {
	cfg.DataDir = f.DataDir
	return nil
}
