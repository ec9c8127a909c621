package event

// OwnApp is the app under which Lakepulse records its own requests and events. It
// has an entry of its own and is no part of "all apps".
const OwnApp = "lakepulse"
