/**
 * The only door to @databricks/appkit-ui: what the dashboard uses of it, and nothing that writes style elements at
 * run time (its Select, ScrollArea and Toaster do), which the Content-Security-Policy forbids.
 */
export {
  Badge,
  Button,
  buttonVariants,
  Card,
  cn,
  Input,
  Kbd,
  Popover,
  PopoverContent,
  PopoverTrigger,
  Skeleton,
  Spinner,
  TableBody,
  TableCell,
  TableHead,
  TableHeader,
  TableRow,
} from "@databricks/appkit-ui/react";
