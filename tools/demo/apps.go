package demo

import "github.com/lakepulse/lakepulse/pkg/event"

// newOrders is an app for people who handle orders: 24 endpoints.
func newOrders() *app {
	get := func(path string, median float64) *endpoint {
		return &endpoint{method: "GET", path: path, median: median, sigma: 0.45, tail: 0.012, failure: 0.004}
	}
	post := func(path string, median float64) *endpoint {
		return &endpoint{method: "POST", path: path, median: median, sigma: 0.55, tail: 0.02, failure: 0.012}
	}
	me, settings := get("/api/v1/me", 6), get("/api/v1/settings", 9)
	list, order, history := get("/api/v1/orders", 48), get("/api/v1/orders/{id}", 22), get("/api/v1/orders/{id}/history", 35)
	search := &endpoint{method: "GET", path: "/api/v1/orders/search", median: 120, sigma: 0.8, tail: 0.04, failure: 0.006, suffers: true}
	create, approve, cancel := post("/api/v1/orders", 95), post("/api/v1/orders/{id}/approve", 60), post("/api/v1/orders/{id}/cancel", 55)
	update := &endpoint{method: "PUT", path: "/api/v1/orders/{id}", median: 70, sigma: 0.5, tail: 0.02, failure: 0.015}
	customers, customer := get("/api/v1/customers", 40), get("/api/v1/customers/{id}", 18)
	notes, note := get("/api/v1/customers/{id}/notes", 25), post("/api/v1/customers/{id}/notes", 42)
	products, product := get("/api/v1/products", 33), get("/api/v1/products/{sku}", 12)
	stock := &endpoint{method: "GET", path: "/api/v1/products/{sku}/stock", median: 85, sigma: 0.7, tail: 0.05, failure: 0.02, suffers: true}
	invoices, invoice := get("/api/v1/invoices", 52), get("/api/v1/invoices/{id}", 28)
	pdf := &endpoint{method: "GET", path: "/api/v1/invoices/{id}/pdf", median: 650, sigma: 0.6, tail: 0.03, failure: 0.01, suffers: true}
	export := &endpoint{method: "POST", path: "/api/v1/exports", median: 1800, sigma: 0.9, tail: 0.05, failure: 0.03, suffers: true}
	upload := &endpoint{method: "POST", path: "/api/v1/attachments", median: 420, sigma: 0.9, tail: 0.03, failure: 0.02}
	preferences := &endpoint{method: "PATCH", path: "/api/v1/settings", median: 30, sigma: 0.4, tail: 0.01, failure: 0.01}
	sync := &endpoint{method: "POST", path: "/api/v1/sync", median: 240, sigma: 0.5, tail: 0.02, failure: 0.01}

	return &app{
		name: "orders", instances: []string{"orders-0", "orders-1", "orders-2"}, jobs: []*endpoint{sync, stock},
		pages: []page{
			{"/orders", 9, []*endpoint{me, list}, []action{
				{event.TypeButtonClick, "orders-search", 4, []*endpoint{search}},
				{event.TypeButtonClick, "orders-next", 3, []*endpoint{list}},
				{event.TypeFormSubmit, "order-create", 1.5, []*endpoint{create, list}},
				{event.TypeExportTriggered, "orders-export", 0.3, []*endpoint{export}},
			}},
			{"/orders/detail", 8, []*endpoint{order, history}, []action{
				{event.TypeButtonClick, "order-approve", 3, []*endpoint{approve, order}},
				{event.TypeButtonClick, "order-cancel", 0.6, []*endpoint{cancel, order}},
				{event.TypeFormSubmit, "order-edit", 1.4, []*endpoint{update, order}},
				{event.TypeFileUploaded, "order-attach", 0.5, []*endpoint{upload}},
			}},
			{"/customers", 3, []*endpoint{customers}, []action{
				{event.TypeButtonClick, "customer-open", 3, []*endpoint{customer, notes}},
				{event.TypeFormSubmit, "customer-note", 1, []*endpoint{note, notes}},
			}},
			{"/products", 3, []*endpoint{products}, []action{
				{event.TypeButtonClick, "product-open", 3, []*endpoint{product, stock}},
			}},
			{"/invoices", 2, []*endpoint{invoices}, []action{
				{event.TypeButtonClick, "invoice-open", 2, []*endpoint{invoice}},
				{event.TypeButtonClick, "invoice-pdf", 1.5, []*endpoint{pdf}},
			}},
			{"/settings", 0.6, []*endpoint{settings}, []action{
				{event.TypePreferenceChanged, "settings-theme", 1, []*endpoint{preferences}},
			}},
		},
	}
}

// newInsights is an app for people who ask questions of data: 16 endpoints.
func newInsights() *app {
	get := func(path string, median, sigma float64) *endpoint {
		return &endpoint{method: "GET", path: path, median: median, sigma: sigma, tail: 0.02, failure: 0.006}
	}
	post := func(path string, median, sigma float64) *endpoint {
		return &endpoint{method: "POST", path: path, median: median, sigma: sigma, tail: 0.04, failure: 0.025}
	}
	me, sources, schema := get("/api/me", 5, 0.4), get("/api/sources", 26, 0.5), get("/api/sources/{id}/schema", 180, 0.8)
	detect, query, result := post("/api/sources/{id}/detect", 900, 0.7), post("/api/queries", 1400, 1.2), get("/api/queries/{id}/result", 75, 0.9)
	status, explain := get("/api/queries/{id}", 8, 0.4), post("/api/queries/explain", 260, 0.6)
	models, invoke := get("/api/models", 21, 0.4), post("/api/models/{name}/invoke", 2200, 0.8)
	boards, board, tile := get("/api/boards", 30, 0.4), get("/api/boards/{id}", 44, 0.5), get("/api/boards/{id}/tiles/{tile}", 310, 0.9)
	save := &endpoint{method: "PUT", path: "/api/boards/{id}", median: 65, sigma: 0.5, tail: 0.02, failure: 0.012}
	export := post("/api/exports", 3100, 0.9)
	refresh := &endpoint{method: "POST", path: "/api/jobs/refresh", median: 5200, sigma: 0.7, tail: 0.05, failure: 0.04}

	return &app{
		name: "insights", instances: []string{"insights-0", "insights-1"}, jobs: []*endpoint{refresh, tile},
		pages: []page{
			{"/boards", 5, []*endpoint{me, boards}, []action{
				{event.TypeButtonClick, "board-open", 5, []*endpoint{board, tile, tile, tile}},
				{event.TypeFormSubmit, "board-save", 1, []*endpoint{save}},
			}},
			{"/query", 4, []*endpoint{sources}, []action{
				{event.TypeDataSourceSelected, "source-select", 2, []*endpoint{schema}},
				{event.TypeQueryExecuted, "query-run", 4, []*endpoint{query, status, result}},
				{event.TypeButtonClick, "query-explain", 0.7, []*endpoint{explain}},
				{event.TypeExportTriggered, "result-export", 0.4, []*endpoint{export}},
			}},
			{"/sources", 1, []*endpoint{sources}, []action{
				{event.TypeSchemaDetected, "schema-detect", 1, []*endpoint{detect, schema}},
			}},
			{"/models", 1.5, []*endpoint{models}, []action{
				{event.TypeModelInvoked, "model-ask", 3, []*endpoint{invoke}},
			}},
		},
	}
}
