/** Apart from the rest of the kit: it is loaded when somebody opens the date picker, not before. */
export { Calendar } from "@databricks/appkit-ui/react";
