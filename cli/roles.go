package cli

import (
	"github.com/lakepulse/lakepulse/services"
)

type standaloneCmd struct {
	listenFlags     `embed:""`
	devAuthFlags    `embed:""`
	dataFlag        `embed:""`
	natsServer      `embed:""`
	streamFlags     `embed:""`
	confirmFlag     `embed:""`
	poolFlags       `embed:""`
	writerFlags     `embed:""`
	retentionFlags  `embed:""`
	governanceFlags `embed:""`
}

func (c *standaloneCmd) Run(e *env) error {
	alwaysScheduled := scheduleFlag{Schedule: true} // no job triggers the daily run of a standalone
	return serve(e, services.Standalone, &c.listenFlags, &c.devAuthFlags, &c.dataFlag, &c.natsServer, &c.streamFlags, &c.confirmFlag,
		&c.poolFlags, &c.writerFlags, &c.retentionFlags, &c.governanceFlags, &alwaysScheduled)
}

type allCmd struct {
	listenFlags     `embed:""`
	authFlags       `embed:""`
	dataFlag        `embed:""`
	natsServer      `embed:""`
	streamFlags     `embed:""`
	confirmFlag     `embed:""`
	poolFlags       `embed:""`
	writerFlags     `embed:""`
	retentionFlags  `embed:""`
	governanceFlags `embed:""`
	scheduleFlag    `embed:""`
}

func (c *allCmd) Run(e *env) error {
	return serve(e, services.All, &c.listenFlags, &c.authFlags, &c.dataFlag, &c.natsServer, &c.streamFlags, &c.confirmFlag,
		&c.poolFlags, &c.writerFlags, &c.retentionFlags, &c.governanceFlags, &c.scheduleFlag)
}

type ingestCmd struct {
	listenFlags      `embed:""`
	authFlags        `embed:""`
	natsServer       `embed:""`
	streamFlags      `embed:""`
	confirmFlag      `embed:""`
	rawRetentionFlag `embed:""`
}

func (c *ingestCmd) Run(e *env) error {
	return serve(e, services.Ingest, &c.listenFlags, &c.authFlags, &c.natsServer, &c.streamFlags, &c.confirmFlag, &c.rawRetentionFlag)
}

type writerCmd struct {
	listenFlags      `embed:""`
	natsServer       `embed:""`
	streamFlags      `embed:""`
	poolFlags        `embed:""`
	writerFlags      `embed:""`
	rawRetentionFlag `embed:""`
}

func (c *writerCmd) Run(e *env) error {
	return serve(e, services.Writer, &c.listenFlags, &c.natsServer, &c.streamFlags, &c.poolFlags, &c.writerFlags, &c.rawRetentionFlag)
}

type queryCmd struct {
	listenFlags     `embed:""`
	authFlags       `embed:""`
	natsServer      `embed:""`
	poolFlags       `embed:""`
	retentionFlags  `embed:""`
	governanceFlags `embed:""`
	collectFlags    `embed:""`
}

func (c *queryCmd) Run(e *env) error {
	return serve(e, services.Query, &c.listenFlags, &c.authFlags, &c.natsServer, &c.poolFlags, &c.retentionFlags, &c.governanceFlags,
		&c.collectFlags)
}

type aggregateCmd struct {
	listenFlags     `embed:""`
	authFlags       `embed:""`
	dataFlag        `embed:""`
	natsServer      `embed:""`
	poolFlags       `embed:""`
	retentionFlags  `embed:""`
	governanceFlags `embed:""`
	scheduleFlag    `embed:""`

	Once bool `help:"Do one run in the foreground and exit: 0 done, 1 database unreachable, 2 aggregation failed."`
}

func (c *aggregateCmd) Run(e *env) error {
	if c.Once {
		return c.runOnce(e)
	}
	return serve(e, services.Aggregate, &c.listenFlags, &c.authFlags, &c.natsServer, &c.poolFlags, &c.retentionFlags,
		&c.governanceFlags, &c.scheduleFlag)
}
